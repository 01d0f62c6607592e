"""Product "spectra" -> Product "coronae": temperature, density, lines of coronae, and which are unlike any."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.corona.regrid import Regridded
from stream.errors import ConfigError, ModelError
from stream.infer import card_of
from stream.judges.corona import HEADS, CoronaJudge, Said, choose
from stream.messages import Message, Product

SPECTRA, GRID, CORONAE, LINES = "SPECTRA", "GRID", "CORONAE", "LINES"
SHIPPED: Final = ("corona", "corona_letg", "corona_euv")
NAMES: Final = ("LOG_T", "LOG_N", "LOG_NORM")  # log10 of kelvin, of cm-3, of apec's norm
HEAD: Final = ("", "_ANY")  # of HEADS: of one temperature; of any emission measure


class ClassifyCorona:
    """Asks the network about every spectrum of a product "spectra", and gives "coronae" after it. Everything passes.

    "spectra" has tables SPECTRA (a row for each: NAME, EXPOSURE s, COUNTS by bin) and GRID, one row: EDGES in Angstrom,
    and if known AREA (cm2) and FWHM (Angstrom, of a line) by bin. Of several networks that of the grid is asked. Other
    bins than its own, with their area, and spectra that are too bright are changed into what it knows, by chance
    (`stream.corona.regrid`): same seed, same counts.

    "coronae" has CORONAE (NAME, FLAG, P_ONE, P_TWO, P_CONTINUOUS, then of LOG_T, LOG_N, LOG_NORM, each for one
    temperature and as NAME_ANY for any emission measure, the mean, _SD, and _LO68, _HI68, ...: conformal intervals; P:
    probability that each line stands out by 3 sigma, SEEN: whether it is told as seen; MIXTURE: the posterior of log T
    and log n for one temperature, Gaussians of weight, mean and SD of log T, those of log n, correlation; KEPT: share
    of the counts that was used; EXCESS_A, EXCESS_SIGMA: where there are most counts too many) and LINES (ION,
    WAVELENGTH). What has a FLAG (bits of `stream.judges.corona`) is not known to the network, which says nothing of it:
    NaN.
    """

    name = "classify_corona"

    def __init__(self, model: str = "", seed: int = 0) -> None:
        """model: shipped name or ONNX file; "": those of SHIPPED. Raises ModelError for no network of coronae."""
        self._judges = [_judge(name) for name in ((model,) if model else SHIPPED)]
        self._seed = seed
        self.counters: Counter[str] = Counter()

    @property
    def about(self) -> dict[str, str]:
        """What it runs, and where."""
        return {key: "; ".join(judge.about[key] for judge in self._judges) for key in ("coronae", "instrument")}

    def process(self, message: Message) -> Iterable[Message]:
        """Product "spectra": pass it, then give what is said of it. Raises ConfigError for bins of no known grid."""
        if not isinstance(message, Product) or message.kind != "spectra":
            return (message,)
        spectra, grid = message.tables[SPECTRA], message.tables[GRID][0]
        area, fwhm = (grid[key] if key in (grid.dtype.names or ()) else None for key in ("AREA", "FWHM"))
        more = None if area is None or fwhm is None else (area, fwhm)
        judge = choose(self._judges, grid["EDGES"], more, message.stream)
        try:
            fitted = judge.fit(
                spectra["COUNTS"], grid["EDGES"], area, np.random.default_rng((self._seed, message.sequence))
            )
        except ConfigError as fault:
            raise ConfigError(f"{message.stream}: {fault}") from None
        said = judge.judge(fitted.counts, fitted.part)
        self.counters["spectra"] += len(spectra)
        self.counters["flagged"] += int(np.count_nonzero(said.flag))
        lines = np.empty(len(judge.ion), [("ION", "S8"), ("WAVELENGTH", "<f8")])
        lines["ION"], lines["WAVELENGTH"] = judge.ion, judge.wavelength_a
        header = {**message.header, "MODEL": judge.about["coronae"], "INSTRUME": judge.instrument}
        made = Product(
            stream=message.stream,
            kind="coronae",
            sequence=message.sequence,
            time_ns=message.time_ns,
            header=header,
            tables={CORONAE: corona_table(spectra, said, fitted, judge.levels), LINES: lines},
            quality=message.quality,
        )
        return (message, made)

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()


def corona_table(spectra: NDArray[Any], said: Said, fitted: Regridded, levels: list[float]) -> NDArray[Any]:
    """Return CORONAE (n,) of rows SPECTRA (n,)."""
    columns: dict[str, NDArray[Any]] = {"NAME": spectra["NAME"], "FLAG": said.flag}
    for k, name in enumerate(("P_ONE", "P_TWO", "P_CONTINUOUS")):
        columns[name] = said.kind[:, k]
    with np.errstate(divide="ignore"):
        exposure = np.log10(np.asarray(spectra["EXPOSURE"], np.float64)) + fitted.log_scale
    for head in range(len(HEADS)):
        for which, name in enumerate(NAMES):
            off = exposure if name == "LOG_NORM" else np.zeros(len(spectra))
            full = name + HEAD[head]
            columns[full], columns[f"{full}_SD"] = said.mean[:, head, which] - off, said.sd[:, head, which]
            for k, level in enumerate(levels):
                columns[f"{full}_LO{100 * level:.0f}"] = said.low[:, head, which, k] - off
                columns[f"{full}_HI{100 * level:.0f}"] = said.high[:, head, which, k] - off
    columns |= {"P": said.lines, "SEEN": said.seen, "MIXTURE": said.mixture, "KEPT": fitted.kept}
    columns |= {"EXCESS_A": said.excess[:, 0], "EXCESS_SIGMA": said.excess[:, 1]}
    kinds = {"NAME": spectra.dtype["NAME"].str, "FLAG": "u1", "SEEN": "?"}
    table = np.empty(len(spectra), [(name, kinds.get(name, "<f4"), x.shape[1:]) for name, x in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table


def _judge(name: str) -> CoronaJudge:
    card = card_of(name)
    if "instrument" not in card.facts:  # each of ours has the grid of one
        what = card.facts.get("kind") or f"a model that takes {', '.join(card.facts.get('input', {}))}"
        raise ModelError(f"{name}: no network of coronae ({what}); expected one, as {', '.join(SHIPPED)}")
    return CoronaJudge(name)
