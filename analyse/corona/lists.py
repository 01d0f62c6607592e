"""Lines that are relied on: strong, little blended, at wavelengths that are known. CHIANTI's wavelengths, Angstrom.

X-ray lines as observers of bright stars choose them (for example Huenemoerder et al. 2001, ApJ 559, 1135; Ness et al.
2002, A&A 394, 911), lines of the extreme ultraviolet as those of the Sun are chosen.
"""

from dataclasses import dataclass
from typing import Final

Line = tuple[str, float]

OF_DEM: Final[tuple[Line, ...]] = (
    ("fe_25", 1.850),
    ("ca_19", 3.177),
    ("ar_17", 3.949),
    ("s_16", 4.727),
    ("s_15", 5.039),
    ("si_14", 6.180),
    ("si_13", 6.648),
    ("mg_12", 8.419),
    ("mg_11", 9.169),
    ("ne_10", 9.708),
    ("ne_10", 10.239),
    ("fe_24", 10.621),
    ("fe_23", 10.981),
    ("fe_24", 11.029),
    ("fe_24", 11.171),
    ("fe_23", 11.736),
    ("fe_22", 11.768),
    ("ne_10", 12.132),
    ("fe_21", 12.282),
    ("fe_20", 12.826),
    ("fe_20", 12.846),
    ("ne_9", 13.447),
    ("fe_19", 13.518),
    ("fe_19", 13.799),
    ("fe_18", 14.204),
    ("fe_18", 14.259),
    ("fe_17", 15.014),
    ("fe_17", 15.262),
    ("fe_18", 15.622),
    ("o_8", 16.006),
    ("fe_18", 16.072),
    ("fe_17", 16.776),
    ("fe_17", 17.051),
    ("fe_17", 17.096),
    ("o_8", 18.967),
    ("o_7", 21.602),
    ("n_7", 24.779),
    ("n_6", 28.787),
    ("c_6", 33.734),
    ("fe_18", 93.932),
    ("fe_19", 108.355),
    ("fe_22", 117.144),
    ("fe_20", 121.845),
    ("fe_21", 128.753),
    ("fe_23", 132.906),
    ("fe_9", 171.073),
    ("fe_10", 174.531),
    ("fe_11", 180.401),
    ("fe_24", 192.028),
    ("fe_12", 195.119),
    ("fe_13", 202.044),
    ("fe_14", 211.317),
    ("fe_14", 264.789),
    ("fe_14", 274.204),
    ("fe_15", 284.163),
    ("fe_16", 335.410),
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two lines of one element whose ratio tells temperature ("T") or density ("n")."""

    tells: str
    over: Line
    under: Line


RATIOS: Final = (
    Ratio("T", ("fe_25", 1.850), ("fe_24", 10.621)),
    Ratio("T", ("s_16", 4.727), ("s_15", 5.039)),
    Ratio("T", ("si_14", 6.180), ("si_13", 6.648)),
    Ratio("T", ("mg_12", 8.419), ("mg_11", 9.169)),
    Ratio("T", ("ne_10", 12.132), ("ne_9", 13.447)),
    Ratio("T", ("o_8", 18.967), ("o_7", 21.602)),
    Ratio("T", ("n_7", 24.779), ("n_6", 28.787)),
    Ratio("T", ("fe_18", 14.204), ("fe_17", 15.014)),
    Ratio("T", ("fe_18", 16.072), ("fe_17", 17.051)),
    Ratio("T", ("fe_20", 12.846), ("fe_18", 14.204)),
    Ratio("T", ("fe_21", 12.282), ("fe_18", 14.204)),
    Ratio("T", ("fe_22", 11.768), ("fe_21", 12.282)),
    Ratio("T", ("fe_24", 11.171), ("fe_22", 11.768)),
    Ratio("T", ("fe_19", 108.355), ("fe_18", 93.932)),
    Ratio("T", ("fe_20", 132.840), ("fe_19", 108.355)),
    Ratio("T", ("fe_21", 128.753), ("fe_19", 108.355)),
    Ratio("T", ("fe_18", 93.932), ("fe_16", 335.410)),
    Ratio("T", ("fe_16", 335.410), ("fe_15", 284.163)),
    Ratio("T", ("fe_15", 284.163), ("fe_14", 211.317)),
    Ratio("T", ("fe_14", 211.317), ("fe_12", 195.119)),
    Ratio("T", ("fe_12", 195.119), ("fe_10", 174.531)),
    Ratio("T", ("fe_10", 174.531), ("fe_9", 171.073)),
    Ratio("n", ("si_13", 6.740), ("si_13", 6.688)),
    Ratio("n", ("mg_11", 9.314), ("mg_11", 9.231)),
    Ratio("n", ("ne_9", 13.699), ("ne_9", 13.553)),
    Ratio("n", ("o_7", 22.098), ("o_7", 21.804)),
    Ratio("n", ("n_6", 29.535), ("n_6", 29.084)),
    Ratio("n", ("fe_21", 102.217), ("fe_21", 128.753)),
    Ratio("n", ("fe_12", 186.887), ("fe_12", 195.119)),
    Ratio("n", ("fe_13", 203.826), ("fe_13", 202.044)),
    Ratio("n", ("fe_14", 264.789), ("fe_14", 274.204)),
    Ratio("n", ("fe_15", 233.866), ("fe_15", 284.163)),
    Ratio("n", ("s_12", 288.434), ("s_12", 299.534)),
)
RELIED_ON: Final = tuple(dict.fromkeys([*OF_DEM, *(line for ratio in RATIOS for line in (ratio.over, ratio.under))]))
