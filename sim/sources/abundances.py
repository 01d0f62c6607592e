"""Abundances by number, relative to hydrogen."""

from typing import Final

# Anders & Grevesse 1989, GeCoA 53, 197: XSPEC's `angr`, its set unless told otherwise. Elements without X-ray lines of
# note (Li, Be, B, F, P, Cl, K, Sc-Mn, Co) are left out: together 0.3 % of the metals' free electrons.
ANGR: Final[dict[int, float]] = {
    1: 1.0,
    2: 9.77e-2,
    6: 3.63e-4,
    7: 1.12e-4,
    8: 8.51e-4,
    10: 1.23e-4,
    11: 2.14e-6,
    12: 3.80e-5,
    13: 2.95e-6,
    14: 3.55e-5,
    16: 1.62e-5,
    18: 3.63e-6,
    20: 2.29e-6,
    26: 4.68e-5,
    28: 1.78e-6,
}
SYMBOLS: Final = {
    "h": 1,
    "he": 2,
    "c": 6,
    "n": 7,
    "o": 8,
    "ne": 10,
    "na": 11,
    "mg": 12,
    "al": 13,
    "si": 14,
    "s": 16,
    "ar": 18,
    "ca": 20,
    "fe": 26,
    "ni": 28,
}
# Asplund et al. 2009, ARA&A 47, 481: XSPEC's `aspl`. The spectra of APEC that PIMMS uses hold it (fitted element by
# element with the spectra made here: O 0.58, Si 0.92, Ar 0.7, Ca 0.9, Fe 0.67 of angr).
ASPL: Final[dict[int, float]] = {
    charge: 10 ** (log - 12)
    for charge, log in {
        1: 12.0,
        2: 10.93,
        6: 8.43,
        7: 7.83,
        8: 8.69,
        10: 7.93,
        11: 6.24,
        12: 7.60,
        13: 6.45,
        14: 7.51,
        16: 7.12,
        18: 6.40,
        20: 6.34,
        26: 7.50,
        28: 6.22,
    }.items()
}
SETS: Final = {"angr": ANGR, "aspl": ASPL}
NAMES: Final = {"angr": "Anders & Grevesse 1989", "aspl": "Asplund, Grevesse, Sauval & Scott 2009"}


def split_ion(name: str) -> tuple[int, int]:
    """Return nuclear charge and spectroscopic number: "fe_25" -> (26, 25). KeyError for an element not here."""
    symbol, _, stage = name.partition("_")
    return SYMBOLS[symbol], int(stage)
