"""The columns of a catalogue of sources: names with units, and what they are made of."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]


class Column(NamedTuple):
    """As the JSON and the VOTable have it."""

    name: str
    unit: str
    ucd: str
    about: str


BAND: Final = "0.5-8 keV"
_DEX: Final = {  # feature in dex: what it is
    "log_flux": Column("flux_erg_cm2_s", "erg.cm-2.s-1", "phot.flux;em.X-ray", f"absorbed, {BAND}, tbabs*powerlaw"),
    "log_nh": Column("nh_1e22_cm2", "10+22cm-2", "phys.columnDensity", "tbabs*powerlaw"),
    "log_kt": Column("kt_kev", "keV", "phys.temperature", "tbabs*bremss"),
    "log_kt_bbody": Column("kt_bbody_kev", "keV", "phys.temperature", "tbabs*bbody"),
    "log_median_kev": Column("median_energy_kev", "keV", "em.energy;stat.median", f"of net counts, {BAND}"),
}
_PLAIN: Final = {
    "photon_index": Column("photon_index", "", "spect.index;em.X-ray", "tbabs*powerlaw"),
    "goodness": Column("goodness_sigma", "", "stat.fit.goodness", "(C - expected C) / sd, Kaastra 2017"),
    "hardness_soft": Column("hardness_soft", "", "phot.color;em.X-ray", "(M - S) / (M + S); 0.5, 1.2, 2, 8 keV"),
    "hardness_hard": Column("hardness_hard", "", "phot.color;em.X-ray", "(H - M) / (H + M)"),
    "fwhm_px": Column("fwhm_px", "pix", "phys.angSize;src", "of a Gaussian"),
    "extent_sigma": Column("extent_sigma", "", "stat.snr;phys.angSize", "significance of its extent"),
}
_FOUND: Final = (
    Column("net_counts", "ct", "phot.count;em.X-ray", f"{BAND}"),
    Column("net_error", "ct", "stat.error;phot.count;em.X-ray", "1 sigma"),
    Column("significance", "", "stat.snr", "sigma of detection"),
)
ID: Final = Column("id", "", "meta.id;meta.main", "brightest first")


def measured(columns: Columns, sources: NDArray[Any], at: Mapping[str, Floats]) -> list[tuple[Column, NDArray[Any]]]:
    """Return columns (n,) of what was measured. at: places by name, x_px, y_px and, if known, ra_deg, dec_deg."""
    out: list[tuple[Column, NDArray[Any]]] = [(ID, np.arange(1, len(sources) + 1))]
    ucds = {"ra_deg": "pos.eq.ra;meta.main", "dec_deg": "pos.eq.dec;meta.main"}
    ucds |= {"x_px": "pos.cartesian.x;instr.det", "y_px": "pos.cartesian.y;instr.det"}
    for name, values in at.items():
        out.append((Column(name, "deg" if name in ("ra_deg", "dec_deg") else "pix", ucds[name], ""), values))
    out += [(column, np.asarray(sources[column.name], float)) for column in _FOUND]
    for feature, column in _DEX.items():
        value = 10.0 ** columns[feature]
        out += [(column, value), (_error(column), value * np.log(10) * columns[f"{feature}_error"])]
    for feature, column in _PLAIN.items():
        out.append((column, columns[feature]))
        if f"{feature}_error" in columns:
            out.append((_error(column), columns[f"{feature}_error"]))
    odds = np.exp(-columns["variability"])
    variable = Column("variable_probability", "", "stat.probability;src.var", "Kolmogorov-Smirnov")
    flag = Column("flag", "", "meta.code.qual", "1 edge, 2 hole, 4 blend, 8 extended")
    return [*out, (variable, 1 / (1 + odds)), (flag, np.asarray(sources["flag"], int))]


def _error(column: Column) -> Column:
    first = column.ucd.split(";")[0]
    of = "" if first.startswith("stat.") else f";{first}"  # a primary word only
    return Column(f"{column.name}_error", column.unit, f"stat.error{of}", "1 sigma")
