"""Product "spectra" -> Product "coronae": temperature, density, lines of coronae, and which are unlike any."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.judges.corona import HEADS, CoronaJudge, Said
from stream.messages import Message, Product

SPECTRA, GRID, CORONAE, LINES = "SPECTRA", "GRID", "CORONAE", "LINES"
NAMES: Final = ("LOG_T", "LOG_N", "LOG_NORM")  # log10 of kelvin, of cm-3, of apec's norm
HEAD: Final = ("", "_ANY")  # of HEADS: of one temperature; of any emission measure


class ClassifyCorona:
    """Asks the network about every spectrum of a product "spectra", and gives "coronae" after it. Everything passes.

    "spectra" has tables SPECTRA (a row for each: NAME, EXPOSURE s, COUNTS by bin) and GRID, one row: EDGES in Angstrom.
    "coronae" has CORONAE (NAME, FLAG, P_ONE, P_TWO, P_CONTINUOUS, then of LOG_T, LOG_N, LOG_NORM, each for one
    temperature and as NAME_ANY for any emission measure, the mean, _SD, and _LO68, _HI68, ...: conformal intervals; P:
    probability that each line stands out by 3 sigma) and LINES (ION, WAVELENGTH). What has a FLAG (bits of
    `stream.judges.corona`) is not known to the network, which says nothing of it: NaN.
    """

    name = "classify_corona"

    def __init__(self, model: str = "corona") -> None:
        """Raises ModelError for a model that is no network of coronae."""
        self._judge = CoronaJudge(model)
        self.counters: Counter[str] = Counter()

    @property
    def about(self) -> dict[str, str]:
        """What it runs, and where."""
        return dict(self._judge.about)

    def process(self, message: Message) -> Iterable[Message]:
        """Product "spectra": pass it, then give what is said of it. Raises ConfigError for bins of another grid."""
        if not isinstance(message, Product) or message.kind != "spectra":
            return (message,)
        spectra = message.tables[SPECTRA]
        self._judge.check(message.tables[GRID]["EDGES"][0], message.stream)
        said = self._judge.judge(spectra["COUNTS"])
        self.counters["spectra"] += len(spectra)
        self.counters["flagged"] += int(np.count_nonzero(said.flag))
        lines = np.empty(len(self._judge.ion), [("ION", "S8"), ("WAVELENGTH", "<f8")])
        lines["ION"], lines["WAVELENGTH"] = self._judge.ion, self._judge.wavelength_a
        header = {**message.header, "MODEL": self.about["coronae"], "INSTRUME": self._judge.instrument}
        made = Product(
            stream=message.stream,
            kind="coronae",
            sequence=message.sequence,
            time_ns=message.time_ns,
            header=header,
            tables={CORONAE: corona_table(spectra, said, self._judge.levels), LINES: lines},
            quality=message.quality,
        )
        return (message, made)

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()


def corona_table(spectra: NDArray[Any], said: Said, levels: list[float]) -> NDArray[Any]:
    """Return CORONAE (n,) of rows SPECTRA (n,)."""
    columns: dict[str, NDArray[Any]] = {"NAME": spectra["NAME"], "FLAG": said.flag}
    for k, name in enumerate(("P_ONE", "P_TWO", "P_CONTINUOUS")):
        columns[name] = said.kind[:, k]
    with np.errstate(divide="ignore"):
        exposure = np.log10(np.asarray(spectra["EXPOSURE"], np.float64))
    for head in range(len(HEADS)):
        for which, name in enumerate(NAMES):
            off = exposure if name == "LOG_NORM" else np.zeros(len(spectra))
            full = name + HEAD[head]
            columns[full], columns[f"{full}_SD"] = said.mean[:, head, which] - off, said.sd[:, head, which]
            for k, level in enumerate(levels):
                columns[f"{full}_LO{100 * level:.0f}"] = said.low[:, head, which, k] - off
                columns[f"{full}_HI{100 * level:.0f}"] = said.high[:, head, which, k] - off
    columns["P"] = said.lines
    kinds = {"NAME": spectra.dtype["NAME"].str, "FLAG": "u1"}
    table = np.empty(len(spectra), [(name, kinds.get(name, "<f4"), x.shape[1:]) for name, x in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table
