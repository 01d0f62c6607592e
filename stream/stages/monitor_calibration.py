"""Product "fits" -> Product "calibration": how far one telescope's area is off another's, and whether that drifts."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_law

from stream.crosscal.curve import Curve, Curves, Drift
from stream.crosscal.map import Theta, most_probable
from stream.crosscal.pairs import PAIR, Pairs, usable
from stream.crosscal.watch import Watch
from stream.judges.crosscal import Emulator, Floats
from stream.messages import Message, Product

FITS, CALIBRATION, DRIFT, PARAMETERS = "FITS", "CALIBRATION", "DRIFT", "PARAMETERS"
LOOKS: Final = 10_000  # of DRIFT that are kept, the newest
SETS: Final = ("whole", "reference", "window")
FEW_FITS, BEYOND, POOR, AT_EDGE, DRIFTED = 1, 2, 4, 8, 16  # bits of FLAG
POOR_P: Final = 1e-3  # of chi2: by chance so poor once in a thousand


class MonitorCalibration:
    """Keeps the fits of two telescopes, and says with each new product what they tell; everything passes.

    "fits" has a table FITS (PAIR of `stream.crosscal.pairs`). A row of a NAME and TIME that is there already takes its
    place: fits that run. Rows that quote the same KT_0 of a NAME share its error. What is no temperature with its
    errors, or beyond the emulator's, is not used, and counted as SKIPPED.
    "calibration" has CALIBRATION, a row for each of SETS (FITS, SKIPPED, START and STOP in s; THETA, THETA_SD and
    COVARIANCE of the most probable correction; CHI2, DOF, P of it; DT and DT_ERR: (T_fit - T) / T at KT; FLAG), DRIFT,
    a row for each look so far (TIME of its newest fit; window less reference: DT and DT_ERR at KT; CHI2, DOF, P of no
    change; FLAG), and PARAMETERS (NAME, UNIT, LOW, HIGH of theta). Fewer fits than parameters leave theta as the prior
    has it, its middle and its width: FEW_FITS.
    """

    name = "monitor_calibration"

    def __init__(self, watch: Watch | None = None) -> None:
        """Raises ModelError for a model that is no emulator, ConfigError for temperatures that it does not know."""
        self.watch = watch or Watch()
        self._judge = Emulator(self.watch.model)
        self.watch.check(self._judge.kt_kev)
        self._kt = np.asarray(self.watch.kt_kev, float)
        self._curves = Curves(self._judge.family, lambda theta, kt: self._law(theta, kt)[0], self._judge.kt_kev)
        self._rows = np.empty(0, PAIR)
        self._looks = np.empty(0, drift_dtype(len(self._kt)))
        self._last: dict[str, Floats] = {}
        self.counters: Counter[str] = Counter()

    @property
    def about(self) -> dict[str, str]:
        """What it runs, and where."""
        return dict(self._judge.about)

    def process(self, message: Message) -> Iterable[Message]:
        """Product "fits": pass it, then say what all fits so far tell."""
        if not isinstance(message, Product) or message.kind != "fits":
            return (message,)
        self._take(message.tables[FITS])
        self.counters["products"] += 1
        header = {**message.header, "MODEL": self.about["emulator"], "FAMILY": self._judge.family.name}
        header |= {"WINDOW_S": self.watch.window_s, "ALARM_P": self.watch.alarm_p}
        made = Product(
            stream=message.stream,
            kind="calibration",
            sequence=message.sequence,
            time_ns=message.time_ns,
            header=header,
            tables=self._tables(),
            quality=message.quality,
        )
        return (message, made)

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()

    def _take(self, given: NDArray[Any]) -> None:
        """Put rows beside those that are there, or in their place; in order of time."""
        rows = np.empty(len(given), PAIR)
        for name in PAIR.names or ():
            rows[name] = given[name]
        rows = np.concatenate([self._rows, rows[np.isfinite(rows["TIME"])]])[::-1]
        _, newest = np.unique(rows[["NAME", "TIME"]], return_index=True)
        self.counters["replaced"] += len(rows) - len(newest)
        kept = rows[newest]
        self._rows = kept[np.argsort(kept["TIME"], kind="stable")]
        self.counters["without_time"] += int(np.count_nonzero(~np.isfinite(given["TIME"])))

    def _law(self, theta: Floats, kt_kev: Floats) -> tuple[Floats, Floats]:
        said = self._judge.predict(theta, kt_kev)
        return said.ln_ratio[:, 0], said.gradient[:, 0]

    def _sets(self) -> dict[str, NDArray[np.bool_]]:
        """Return the rows of each of SETS."""
        time = self._rows["TIME"]
        first, last = (time[0], time[-1]) if len(time) else (0.0, 0.0)
        window = time > last - self.watch.window_s
        old = time <= first + self.watch.reference_s if self.watch.reference_s else ~window
        return {"whole": np.ones(len(time), bool), "reference": old & ~window, "window": window}

    def _tables(self) -> dict[str, NDArray[Any]]:
        good, (low, high) = usable(self._rows), self._judge.kt_kev
        known = good & (self._rows["KT_0"] >= low) & (self._rows["KT_0"] <= high)
        curves: dict[str, Curve] = {}
        out = np.zeros(len(SETS), calibration_dtype(len(self._judge.names), len(self._kt)))
        for k, (name, rows) in enumerate(self._sets().items()):
            used = self._rows[rows & known]
            beyond = BEYOND * bool((rows & good & ~known).any())
            curves[name], row = self._look(name, used, beyond)
            out[k] = (name, len(used), int(rows.sum()) - len(used), *row)
        drift = self._curves.compare(curves["window"], curves["reference"], self._kt)
        self._looks = np.concatenate([self._looks, self._drift(drift, out)])[-LOOKS:]
        told = [(one.name.encode(), one.unit.encode(), one.low, one.high) for one in self._judge.family.parameters]
        kinds = [("NAME", "S24"), ("UNIT", "S8"), ("LOW", "<f8"), ("HIGH", "<f8")]
        return {CALIBRATION: out, DRIFT: self._looks, PARAMETERS: np.array(told, kinds)}

    def _look(self, name: str, used: NDArray[Any], flag: int) -> tuple[Curve, tuple[Any, ...]]:
        """Return the curve of the rows of a set, and its columns of CALIBRATION from START on."""
        pairs, p = Pairs.of_rows(used), len(self._judge.names)
        curve, found = self._curves.fit(pairs), self._most_probable(name, pairs)
        dof = max(len(pairs) - p, 0)
        chance = float(chi2_law.sf(found.chi2, dof)) if dof else 1.0
        flag |= FEW_FITS * (len(pairs) < p) | POOR * (chance < POOR_P) | AT_EDGE * found.at_edge
        ends = (used["TIME"][0], used["TIME"][-1]) if len(used) else (np.nan, np.nan)
        told = self._kt, *as_share(*self._curves.predict(curve, self._kt))
        sd = np.sqrt(np.diag(found.covariance))
        return curve, (*ends, found.theta, sd, found.covariance, found.chi2, dof, chance, *told, flag)

    def _most_probable(self, name: str, pairs: Pairs) -> Theta:
        """Return theta: from where it was before, and anew; of fewer pairs than parameters the prior."""
        of = self._judge.family
        if len(pairs) < len(of.parameters):
            return most_probable(of, self._law, Pairs.of_rows(np.empty(0, PAIR)))
        found = most_probable(of, self._law, pairs)
        if name in self._last:
            again = most_probable(of, self._law, pairs, self._last[name])
            found = again if again.objective < found.objective else found
        self._last[name] = found.theta
        return found

    def _drift(self, drift: Drift, sets: NDArray[Any]) -> NDArray[Any]:
        """Return the row of this look: window less reference."""
        out = np.zeros(1, self._looks.dtype)
        old = 1 + sets["DT"][SETS.index("reference")]
        flag = FEW_FITS if drift.dof == 0 else 0
        flag |= int(sets["FLAG"][1] | sets["FLAG"][2]) & (BEYOND | POOR)
        flag |= DRIFTED * (drift.p < self.watch.alarm_p)
        dt = old * np.expm1(drift.ln_ratio)
        time = float(self._rows["TIME"][-1]) if len(self._rows) else np.nan
        out[0] = (time, self._kt, dt, (old + dt) * drift.error, drift.chi2, drift.dof, drift.p, flag)
        self.counters["drifted"] += bool(flag & DRIFTED)
        return out


def as_share(ln_ratio: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return (T_fit - T) / T and its error of ln(T_fit / T)."""
    return np.expm1(ln_ratio), np.exp(ln_ratio) * error


def calibration_dtype(p: int, many: int) -> np.dtype[Any]:
    """Return the columns of CALIBRATION for p parameters and so many temperatures."""
    numbers = [("THETA", (p,)), ("THETA_SD", (p,)), ("COVARIANCE", (p, p))]
    counts: list[Any] = [("SET", "S9"), ("FITS", "<i4"), ("SKIPPED", "<i4"), ("START", "<f8"), ("STOP", "<f8")]
    counts += [(name, "<f8", shape) for name, shape in numbers]
    counts += [("CHI2", "<f8"), ("DOF", "<i4"), ("P", "<f8")]
    counts += [(name, "<f8", (many,)) for name in ("KT", "DT", "DT_ERR")]
    return np.dtype([*counts, ("FLAG", "<u2")])


def drift_dtype(many: int) -> np.dtype[Any]:
    """Return the columns of DRIFT for so many temperatures."""
    kinds: list[Any] = [("TIME", "<f8"), *((name, "<f8", (many,)) for name in ("KT", "DT", "DT_ERR"))]
    return np.dtype([*kinds, ("CHI2", "<f8"), ("DOF", "<i4"), ("P", "<f8"), ("FLAG", "<u2")])


def as_words(flag: int) -> str:
    """Return what a flag says."""
    words = {
        FEW_FITS: "fewer fits than parameters: the prior",
        BEYOND: "temperatures beyond the emulator's, not used",
        POOR: "poor chi2",
        AT_EDGE: "at the edge of the box",
        DRIFTED: "drifted",
    }
    return ", ".join(text for bit, text in words.items() if flag & bit)
