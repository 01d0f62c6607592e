"""The table of MUWCLASS (Yang et al. 2022, ApJ 941, 104): Chandra sources of known class with their counterparts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from config.errors import ConfigError
from models.sources.dataset import Column, Sources, build, numbers

LINK_DEG = 1.0  # sources nearer than this are of one field, and so are the friends of friends
LN10 = np.log(10)
MOST_SPREAD = 0.7  # of a distance: where the parallax says nothing, the prior of the catalogue does
LEAST = 1e-3  # probabilities of variability are told to three digits
POLE_RA, POLE_DEC, NODE = np.radians((192.85948, 27.12825, 122.93192))  # of the Galaxy, J2000
# The columns of the table of rare types near the Galactic centre that are named otherwise.
OTHER_NAMES = {
    **{f"Fcsc_{band}": f"flux_aper90_ave_{band}" for band in "smh"},
    **{f"e_Fcsc_{band}": f"e_flux_aper90_ave_{band}" for band in "smh"},
    "var_intra_prob": "kp_prob_b_max",
    "PM": "GAIA_PM",
}
Getter = Callable[[str], Column]
Features = dict[str, tuple[str, Column, Column | None]]
NEEDED = ("ra", "dec", "Class", "significance", *(f"{kind}Fcsc_{band}" for band in "smh" for kind in ("", "e_")))


def sources_of(path: Path, texts: Mapping[str, NDArray[np.generic]]) -> Sources:
    """Return the sources of the table. Raises ConfigError for a column that is missing or holds no numbers."""
    table = dict(texts) | {
        ours: texts[theirs] for ours, theirs in OTHER_NAMES.items() if ours not in texts and theirs in texts
    }
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise ConfigError(f"{path}: no column {', '.join(missing)}; expected those of a MUWCLASS table")
    number = len(table["Class"])

    def get(name: str) -> Column:
        if name == "RPlx" and name not in table and "GAIA_Plx" in table:
            return get("GAIA_Plx") / get("GAIA_e_Plx")
        return numbers(path, name, table[name]) if name in table else np.full(number, np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        columns = _xray(get) | _counterpart(get)
    sky = galactic(get("ra"), get("dec"))
    built = build(path, columns, map(str, table["Class"]), fields_of(sky))
    return replace(built, name=tuple(map(str, table.get("name", ()))), sky=sky)


def _xray(get: Getter) -> Features:
    s, m, h = ((get(f"Fcsc_{band}"), get(f"e_Fcsc_{band}")) for band in "smh")
    total, spread = s[0] + m[0] + h[0], np.sqrt(s[1] ** 2 + m[1] ** 2 + h[1] ** 2)
    return {
        "log_flux": ("dex of erg cm-2 s-1", np.log10(total), spread / total / LN10),
        "hardness_soft": ("", *_hardness(s, m)),
        "hardness_hard": ("", *_hardness(m, h)),
        "photon_index": ("", get("powlaw_gamma_mean"), get("e_powlaw_gamma_mean")),
        "variability": ("", _logit(get("var_intra_prob")), None),
        "variability_between": ("", _logit(get("var_inter_prob")), None),
        "log_significance": ("dex", np.log10(get("significance")), None),
    }


def _counterpart(get: Getter) -> Features:
    """Magnitudes, colours, distances and motions of the optical and infrared counterpart."""
    mag = {
        band: (get(f"{band}mag"), np.nan_to_num(get(f"e_{band}mag")))
        for band in ("G", "BP", "RP", "J", "H", "K", "W1", "W2", "W3")
    }
    total = get("Fcsc_s") + get("Fcsc_m") + get("Fcsc_h")
    far, moved = get("rgeo"), get("PM")
    spread = np.minimum(1 / np.abs(get("RPlx")), MOST_SPREAD) / LN10  # of the distance, dex
    colours = (("BP", "RP"), ("G", "J"), ("G", "W1"), ("J", "H"), ("H", "K"), ("K", "W1"), ("W1", "W2"), ("W2", "W3"))
    return {
        "mag_g": ("mag", *mag["G"]),
        **{
            f"{a.lower()}_{b.lower()}": ("mag", mag[a][0] - mag[b][0], np.hypot(mag[a][1], mag[b][1]))
            for a, b in colours
        },
        "mag_j": ("mag", *mag["J"]),
        "mag_w1": ("mag", *mag["W1"]),
        **{
            f"log_flux_{a.lower()}": ("dex", np.log10(total) + 0.4 * mag[a][0], 0.4 * mag[a][1])
            for a in ("G", "J", "W1")
        },
        "parallax": ("asinh of sd", np.arcsinh(get("RPlx")), None),
        "log_motion": ("dex of arcsec yr-1", np.log10(np.where(moved > 0, moved, np.nan)), None),
        "log_ruwe": ("dex", np.log10(get("ruwe")), None),
        "log_distance": ("dex of pc", np.log10(far), spread),
        "absolute_g": ("mag", mag["G"][0] + 5 - 5 * np.log10(far), np.hypot(mag["G"][1], 5 * spread)),
        "log_luminosity": (
            "dex of erg s-1",
            np.log10(total) + 2 * np.log10(far) + np.log10(4 * np.pi) + 2 * 18.48935,
            2 * spread,
        ),
    }


def _hardness(soft: tuple[Column, Column], hard: tuple[Column, Column]) -> tuple[Column, Column]:
    (a, ea), (b, eb) = soft, hard
    return (b - a) / (a + b), 2 * np.hypot(a * eb, b * ea) / (a + b) ** 2


def _logit(p: Column) -> Column:
    inside = np.clip(p, LEAST, 1 - LEAST)
    return np.log(inside / (1 - inside))


def galactic(ra: Column, dec: Column) -> NDArray[np.float64]:
    """Return Galactic longitude and latitude (n, 2) of J2000 positions, all in degrees."""
    a, d = np.radians(ra) - POLE_RA, np.radians(dec)
    b = np.arcsin(np.sin(d) * np.sin(POLE_DEC) + np.cos(d) * np.cos(POLE_DEC) * np.cos(a))
    y, x = np.cos(d) * np.sin(a), np.sin(d) * np.cos(POLE_DEC) - np.cos(d) * np.sin(POLE_DEC) * np.cos(a)
    return np.degrees(np.stack([np.mod(NODE - np.arctan2(y, x), 2 * np.pi), b], axis=1))


def fields_of(sky: NDArray[np.float64], link_deg: float = LINK_DEG) -> NDArray[np.int64]:
    """Return the number of the field of each position (n, 2) in degrees, by friends of friends; empty for none."""
    if not len(sky):
        return np.empty(0, np.int64)
    lon, lat = np.radians(sky).T
    tree = cKDTree(np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1))
    near = tree.sparse_distance_matrix(tree, 2 * np.sin(np.radians(link_deg) / 2), output_type="coo_matrix")
    return connected_components(near, directed=False)[1].astype(np.int64)
