"""How near the emulator of cross-calibration is to fits, how fast, and what the monitor of a drift detects.

    python -m bench.crosscal.emulator

Errors are those of the shipped card (`models/store/README.md` has the commands). The monitor is told of clusters whose
temperatures come from simulated and fitted spectra, not from the emulator, in order, one look for each.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from scipy.interpolate import CubicSpline

from bench import figures
from sim.crosscal.grid import RATIOS, Inputs
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.curve import Curves
from stream.crosscal.modifiers import middle_kev
from stream.crosscal.pairs import Pairs
from stream.infer import STORE, Card, Model, open_model
from stream.judges.crosscal import AT_A_TIME, Emulator, Floats

COMMAND: Final = "python -m bench.crosscal.emulator"
TIMED: Final = 8192
KT: Final = np.array([1.0, 2.0, 5.0, 10.0])
CLUSTERS_KEV: Final = (1.2, 12.0)  # evenly in ln kT
ERRORS: Final = (0.02, 0.03)  # of the trusted, of the biased temperature
REFERENCE: Final = 60  # fits
WINDOW: Final = 20
TRIALS: Final = 1000
RUNS: Final = 100  # of detections
LOOKS: Final = 10  # before a step
MOST: Final = 100  # fits after it
ALL: Final = REFERENCE + MOST
ALARM: Final = 1e-3
STEPS: Final = {  # mu_kev, sigma_kev, amplitude, before and after
    "no drift, no correction": ((2.0, 1.0, 0.0), (2.0, 1.0, 0.0)),
    "no drift, -8 % at 1.8 keV": ((1.8, 1.0, -0.08), (1.8, 1.0, -0.08)),
    "0 to -4 % at 1.8 keV": ((1.8, 1.0, 0.0), (1.8, 1.0, -0.04)),
    "0 to -8 % at 1.8 keV": ((1.8, 1.0, 0.0), (1.8, 1.0, -0.08)),
    "0 to -8 % at 4.35 keV": ((4.35, 1.0, 0.0), (4.35, 1.0, -0.08)),
    "-8 to -12 % at 1.8 keV": ((1.8, 1.0, -0.08), (1.8, 1.0, -0.12)),
}
Rows = dict[str, tuple[Any, ...]]
Truth = Callable[[Floats], Floats]


def accuracy(card: Card) -> Rows:
    """Return the card's errors, in per cent, and its parity."""
    out: Rows = {
        name: (100 * value, "%", (100 * low, 100 * high)) for name, (value, low, high) in card.get("metrics").items()
    }
    parity = card.get("parity")
    out["parity: difference of ln ratio"] = (parity["difference"], "")
    out["gradient: ONNX beside torch, of the largest"] = (parity["gradient"], "")
    out["gradient: beside finite differences, of the largest"] = (parity["finite_differences"], "")
    training = card.get("training")
    out["fits of the training"] = (training["points"], "")
    out["weights"] = (training["weights"], "")
    out["CPU of the training"] = (training["standing"]["seconds"] / 60, "min")
    out["size of the model"] = ((STORE / "crosscal.onnx").stat().st_size / 1e6, "MB")
    return out


def speed(model: Model, judge: Emulator) -> Rows:
    """Return the CPU time of an evaluation with its gradient, in batches, on one thread; the least of some runs."""
    rng, out = np.random.default_rng(1), {}
    theta = rng.uniform(judge.low, judge.high, (TIMED, len(judge.low)))
    kt = np.exp(rng.uniform(*np.log(judge.kt_kev), TIMED))
    given = {"theta": theta.astype(np.float32), "kt_kev": kt.astype(np.float32)}

    def plainly() -> None:
        for first in range(0, TIMED, AT_A_TIME):
            model.run(**{name: array[first : first + AT_A_TIME] for name, array in given.items()})

    for name, call in (("onnxruntime", plainly), ("judge", lambda: judge.predict(theta, kt))):
        spent = []
        for _ in range(12):
            begun = time.process_time()
            call()
            spent.append(1e6 * (time.process_time() - begun) / TIMED)
        ends = (min(spent), float(np.median(spent)))
        out[f"evaluation with gradient, {name}, {AT_A_TIME} at once"] = (min(spent), "us", ends)
    return out


def truths() -> dict[tuple[float, ...], Truth]:
    """Return for each theta of STEPS ln(kT of the fit / true kT) by ln kT, of spectra simulated and fitted."""
    response, table = Inputs().load()
    kt = np.geomspace(0.9, 14.0, 28)
    templates = Templates(Setting(), response, table, kt)
    out: dict[tuple[float, ...], Truth] = {}
    family = Emulator().family
    for theta in {one for step in STEPS.values() for one in step}:
        found = templates.recover(family.factor(np.array(theta), middle_kev(response))[0], RATIOS)
        out[theta] = CubicSpline(np.log(kt), np.log(found.kt_kev[:, 0] / kt))
    return out


def observed(truth: Truth, n: int, rng: Generator) -> Pairs:
    """Return n clusters as both telescopes have them."""
    ln_kt = rng.uniform(*np.log(CLUSTERS_KEV), n)
    trusted, biased = (rng.normal(0, sd, n) for sd in ERRORS)
    sd = (np.full(n, one) for one in ERRORS)
    return Pairs(ln_kt + trusted, next(sd), ln_kt + truth(ln_kt) + biased, next(sd), np.arange(n))


def looks(curves: Curves, before: Truth, after: Truth) -> Rows:
    """Return how often intervals hold the drift, and alarms are raised, at one look after the step."""
    rng = np.random.default_rng(5)
    drift = after(np.log(KT)) - before(np.log(KT))
    off, chance = np.empty((TRIALS, len(KT))), np.empty(TRIALS)
    for k in range(TRIALS):
        old, new = (curves.fit(observed(*of, rng)) for of in ((before, REFERENCE), (after, WINDOW)))
        found = curves.compare(new, old, KT)
        off[k], chance[k] = (found.ln_ratio - drift) / found.error, found.p
    out: Rows = {"error of the drift at 10 keV": (100 * found.error[-1], "%")}
    out["drift at 10 keV"] = (100 * float(np.expm1(drift[-1])), "%")
    for level, limit in ((68, 0.9945), (90, 1.6449)):
        for kt, column in zip(KT, np.abs(off).T, strict=True):
            out[f"{level} % intervals hold, {kt:g} keV"] = share(column < limit)
    for limit in (1e-1, 1e-2, ALARM):
        out[f"looks with P below {limit:g}"] = share(chance < limit)
    return out


def delays(curves: Curves, before: Truth, after: Truth) -> Rows:
    """Return after how many fits a step is detected; the reference is all that came before the window."""
    rng, found, early = np.random.default_rng(6), np.full(RUNS, MOST), np.zeros(RUNS, bool)
    for run in range(RUNS):
        whole = observed(
            lambda ln_kt: np.where(np.arange(len(ln_kt)) < REFERENCE, before(ln_kt), after(ln_kt)), ALL, rng
        )
        for seen in range(REFERENCE - LOOKS, ALL):
            first = seen - WINDOW
            window, reference = (curves.fit(whole.take(rows)) for rows in (slice(first, seen), slice(0, first)))
            if curves.compare(window, reference, KT).p < ALARM:
                early[run], found[run] = seen <= REFERENCE, max(seen - REFERENCE, 0)
                break
    late = found[~early]
    out: Rows = {f"alarms in the {LOOKS} looks before the step": share(early)}
    for name, q in (("median", 0.5), ("90 %", 0.9)):
        drawn = np.quantile(rng.choice(late, (500, len(late))), q, axis=1)
        ends = tuple(float(x) for x in np.quantile(drawn, (0.1587, 0.8413)))
        out[f"fits until detected, {name}"] = (float(np.quantile(late, q)), "fits", ends)
    return out


def share(hits: Any) -> tuple[float, str, tuple[float, float]]:
    """Return a share in per cent with its 68 % interval (Wilson)."""
    n, p = len(hits), (hits.sum() + 0.5) / (len(hits) + 1)
    half = np.sqrt(p * (1 - p) / (n + 1))
    return (100 * float(hits.mean()), "%", (100 * max(float(p - half), 0.0), 100 * min(float(p + half), 1.0)))


def main() -> None:
    """Measure all."""
    model, judge = open_model("crosscal", "cpu"), Emulator()
    found = accuracy(model.card) | speed(model, judge)
    curves = Curves(judge.family, lambda theta, kt: judge.ln_ratio(theta, kt)[:, 0], judge.kt_kev)
    curve_of = truths()
    for name, (before, after) in STEPS.items():
        of = curve_of[before], curve_of[after]
        told = looks(curves, *of) | (delays(curves, *of) if before != after else {})
        found |= {f"monitor, {name}: {key}": row for key, row in told.items()}
    figures.write("crosscal_emulator", COMMAND, found)


if __name__ == "__main__":
    main()
