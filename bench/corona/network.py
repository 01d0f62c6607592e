"""How well the network of coronae does on stars that it has never seen, beside what is possible, and how fast it is.

    python -m bench.corona.network [FOLDER [MODEL ...]]

FOLDER (out/corona) has sets and weights of the commands in models/store/README.md; the shipped models are judged, those
named or all. Beside them: the Cramer-Rao bound of the same setting; for HETG also a plain matched filter for the lines,
what the network does not know (coronae too hot or too cold, spectra moved, flat, scrambled or empty, drawn here), and
spectra of finer bins and another area.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.features import Features
from analyse.corona.identify import filter_lines
from bench import figures
from models.corona.calibrate import ask
from models.corona.dataset import Spectra
from models.corona.evaluate import RANGES, Stars, beside
from models.corona.train import lines_of, load
from sim.corona.bound import Bound
from sim.corona.sets import blocks
from sim.corona.truth import SEEN, Setting
from stream.corona.forward import Forward
from stream.corona.instrument import FWHM, Instrument, shipped
from stream.corona.observed import Observed
from stream.infer import STORE, open_model
from stream.judges.corona import BRIGHTNESS, DISTANCE, NO_COUNTS, RESIDUAL, CoronaJudge
from stream.stages.classify_corona import SHIPPED

COMMAND: Final = "python -m bench.corona.network"
BOUNDS: Final = 40  # stars in each range of SNR
FILTERED: Final = 800  # spectra
STRANGE: Final = 300  # spectra of each kind that is not known
TIMED: Final = 512
ISOTHERMAL: Final = Setting(shares=(1, 0, 0))
Rows = dict[str, tuple[Any, ...]]


def bounds(model: Forward, found: Rows) -> Rows:
    """Return the least RMSE of log T and log n, and how the network compares; by SNR, of one temperature."""
    out: Rows = {}
    for low, high in RANGES[:4]:
        setting = replace(ISOTHERMAL, snr=(low, high))
        block = next(blocks(model, setting, BOUNDS, 404))
        variances = Bound(model, setting).variances(block.truth.coronae)
        for which, name in enumerate(("log T", "log n")):
            least = float(np.sqrt(variances[:, which].mean()))
            key = f"one, SNR {low:g}-{high:g}: RMSE {name}"
            out[f"{key}: bound"] = (least, "dex")
            out[f"{key}: over bound"] = (found[key][0] / least, "ratio")
    return out


def filtered(model: Forward, unseen: Spectra) -> Rows:
    """Return how a matched filter tells the lines of the network's list: at 3 sigma, and at its best threshold."""
    rows = unseen.lines
    sigma = model.sigma_a[rows]
    order = np.argsort(unseen.wavelength_a, kind="stable")
    known = Features(
        unseen.wavelength_a[order], unseen.ion[order], tuple(rows[order][:, None]), np.hypot(sigma, 0.01)[order] * FWHM
    )
    score = np.empty((FILTERED, len(rows)))
    for s in range(FILTERED):
        counts = unseen.counts[s].astype(float)
        if counts.sum() > 0:
            score[s, order] = filter_lines(Observed("", counts, model.instrument, 1.0), known)
    seen = unseen.sigma[:FILTERED] >= SEEN
    asked = beside(seen, np.random.default_rng(6))
    stars, snr = Stars(np.arange(FILTERED), np.random.default_rng(5)), unseen.truth["snr"][:FILTERED]
    steps = np.arange(0.5, 12, 0.25)
    best = steps[np.argmax([((score > at) == seen)[asked].mean() for at in steps])]
    out: Rows = {"matched filter: best threshold": (float(best), "sigma")}
    for name, at in (("3 sigma", 3.0), ("best", best)):
        right, many = ((score > at) == seen) * asked, asked.sum(axis=1)
        for low, high in RANGES:
            share = right.sum(axis=1) / np.maximum(many, 1)
            value, *ends = stars.mean(share, (snr >= low) & (snr < high), many)
            out[f"matched filter, {name}: line accuracy, SNR {low:g}-{high:g}"] = (value, "", tuple(ends))
    return out


def strange(model: Forward) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield counts (n, B) of spectra that the network has not learned, each with its name."""
    rng = np.random.default_rng(77)
    for low, high in ((1.0, 3.0), (3.0, 10.0)):
        base = replace(ISOTHERMAL, snr=(low, high))
        for name, log_t in (("hot, log T 7.3", 7.3), ("cold, log T 5.8", 5.8)):
            other = replace(base, log_t=(log_t, log_t))
            yield f"{name}, SNR {low:g}-{high:g}", counts_of(model, other)
        given = counts_of(model, base)
        yield f"moved by 0.1 A, SNR {low:g}-{high:g}", np.roll(given, 10, axis=1)
        yield f"moved by 1 A, SNR {low:g}-{high:g}", np.roll(given, 100, axis=1)
        total = given.sum(axis=1)
        even = np.full(given.shape, 1 / given.shape[1])
        yield f"flat, SNR {low:g}-{high:g}", rng.poisson(total[:, None] * even).astype(np.float32)
        yield f"bins in any order, SNR {low:g}-{high:g}", rng.permuted(given, axis=1)
        yield f"known, SNR {low:g}-{high:g}", given
    yield "no counts", np.zeros((STRANGE, len(model.instrument.area_cm2)), np.float32)


def counts_of(model: Forward, setting: Setting) -> NDArray[np.float32]:
    return np.concatenate([block.counts for block in blocks(model, setting, STRANGE, 405)]).astype(np.float32)


def unknown(model: Forward, judge: CoronaJudge) -> Rows:
    """Return which share of each kind is flagged, and by what."""
    out: Rows = {}
    for name, counts in strange(model):
        flag = judge.judge(counts).flag
        out[f"flagged: {name}"] = (float((flag > 0).mean()), "", _binomial(int((flag > 0).sum()), len(flag)))
        bits = {"counts": NO_COUNTS | BRIGHTNESS, "residual": RESIDUAL, "distance": DISTANCE}
        for by, bit in bits.items():
            out[f"flagged: {name}, by {by}"] = (float(((flag & bit) > 0).mean()), "")
    return out


def _binomial(k: int, n: int) -> tuple[float, float]:
    """Return the 68 % interval (Wilson) of a share."""
    p = (k + 0.5) / (n + 1)
    half = np.sqrt(p * (1 - p) / (n + 1))
    return float(max(p - half, 0)), float(min(p + half, 1))


def other_grid(judge: CoronaJudge) -> Rows:
    """Return how spectra of bins half as wide, moved by a third of one, and of another area are told, up to SNR 30."""
    own = shipped("hetg")
    edges = np.linspace(own.edges_a[0], own.edges_a[-1], 2 * judge.bins + 1) + 0.0017
    middle = 0.5 * (edges[1:] + edges[:-1])
    area = np.interp(middle, own.middle_a, own.area_cm2) * np.exp(0.3 * np.sin(middle))
    area[(middle > 14.3) & (middle < 14.4)] = 0.0  # a gap between chips
    model = Forward.through(Instrument.of("other", edges, area, own.fwhm_a[0]))
    out: Rows = {}
    for low, high in ((3.0, 10.0), (10.0, 30.0)):
        block = next(blocks(model, replace(ISOTHERMAL, snr=(low, high)), 250, 406))
        fitted = judge.fit(block.counts, edges, area, np.random.default_rng(7))
        said = judge.judge(fitted.counts, fitted.part)
        known, key = said.flag == 0, f"another grid and area, SNR {low:g}-{high:g}"
        out[f"{key}: flagged"] = (float(1 - known.mean()), "", _binomial(int((~known).sum()), len(known)))
        out[f"{key}: counts kept, median"] = (float(np.median(fitted.kept)), "")
        norm = block.truth.rows["log_norm"] + np.log10(block.truth.rows["exposure_s"])
        truth = np.stack([block.truth.rows["log_t"], block.truth.rows["log_n"], norm], axis=1)
        for k, name in enumerate(("log T", "log n", "log norm")):
            off = said.mean[known, 0, k] - fitted.log_scale[known] * (k == 2) - truth[known, k]
            spread = np.random.default_rng(8).choice(off, (500, len(off)))
            rms = np.quantile(np.sqrt((spread**2).mean(axis=1)), (0.1587, 0.8413))
            out[f"{key}: RMSE {name}"] = (float(np.sqrt((off**2).mean())), "dex", tuple(rms.tolist()))
    return out


def speed(name: str, unseen: Spectra) -> Rows:
    """Return CPU time of a spectrum through onnxruntime on one thread, in batches; the least of some runs."""
    model, judge = open_model(name, "cpu"), CoronaJudge(name)
    counts, out = unseen.counts[:TIMED].astype(np.float32), {}
    for size in (1, 64):
        best = np.inf
        for _ in range(7):
            begun = time.process_time()
            for first in range(0, TIMED if size > 1 else 64, size):
                model.run(counts=counts[first : first + size])
            best = min(best, (time.process_time() - begun) / (TIMED if size > 1 else 64))
        out[f"time per spectrum, {size} at once"] = (1e3 * best, "ms")
    begun = time.process_time()
    judge.judge(counts)
    out["time per spectrum, with intervals and flags"] = (1e3 * (time.process_time() - begun) / TIMED, "ms")
    out["size of the model"] = ((STORE / f"{name}.onnx").stat().st_size / 1e6, "MB")
    return out


def denoising(network: Any, unseen: Spectra) -> Rows:
    """Return the deviance of the denoised spectra from what is expected, beside that of counts smoothed by 5 bins."""
    batch = unseen.as_they_are(np.arange(min(FILTERED, len(unseen))))
    found = ask(network, batch.counts, batch.expected).denoised
    kernel = np.ones(5) / 5
    smooth = np.array([np.convolve(row, kernel, "same") for row in batch.counts]) + 1e-3
    truth = np.maximum(batch.expected, 1e-9)
    plain = 2 * (smooth - truth - truth * np.log(smooth / truth)).sum(axis=1)
    return {"denoised: deviance": (float(found.mean()), ""), "smoothed by 5 bins: deviance": (float(plain.mean()), "")}


def measure(folder: Path, name: str) -> Rows:
    """Return all figures of a shipped model."""
    network, state = load(folder / f"{name}.npz")
    instrument = state["instrument"]
    unseen = Spectra(folder / f"{instrument}_test.h5", lines_of(state))
    model = Forward.through(shipped(instrument))
    found: Rows = {
        key: (value, "dex" if "RMSE" in key else "", (low, high))
        for key, (value, low, high) in open_model(name, "cpu").card.get("metrics").items()
    }
    found |= bounds(model, found) | speed(name, unseen) | denoising(network, unseen)
    if instrument == "hetg":
        judge = CoronaJudge(name)
        found |= filtered(model, unseen) | unknown(model, judge) | other_grid(judge)
    found["spectra of the training"] = (state["plan"]["steps"] * state["plan"]["batch"], "")
    found["CPU of the training"] = (state["standing"]["seconds"] / 60, "min")
    found["lines of the list"] = (len(state["lines"]), "")
    found["bins"] = (len(model.instrument.area_cm2), "")
    return found


def main() -> None:
    """Measure all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/corona")
    for name in sys.argv[2:] or SHIPPED:
        figures.write(f"{name.replace('corona', 'corona_network')}", COMMAND, measure(folder, name))


if __name__ == "__main__":
    main()
