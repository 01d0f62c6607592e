"""Sources of known class of a catalogue of the LAT, as rows of features."""

from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.sources.dataset import Sources
from sim.check import require
from stream.judges.lat import FEATURES, features_of, of_catalogue
from stream.lat.catalogue import AGN, CLASSES, PULSARS
from stream.transport.lat_catalogue import read_catalogue

Kind = Literal["classes", "agn-psr"]
KINDS: Final[dict[str, tuple[str, ...]]] = {"classes": CLASSES, "agn-psr": ("AGN", "PSR")}
SECTOR_DEG: Final = 15.0  # of Galactic longitude: what is left out together when a model is judged by sky


def read_table(path: Path, kind: Kind = "classes", *, known: bool = True) -> Sources:
    """Return the sources of a class of a kind, or (known=False) those of none; `field` is their sector of longitude.

    "classes": BLL, FSRQ, PSR, PWN (with SPP and SNR); "agn-psr": all active galaxies, and pulsars. Raises ConfigError
    for a file that is no catalogue, or has not all of the classes.
    """
    catalogue = read_catalogue(path)
    rows, columns = catalogue.rows, features_of(of_catalogue(catalogue))
    label = _labels(rows, kind)
    chosen = np.flatnonzero(((label >= 0) if known else ~rows["associated"]) & np.isfinite(rows["significance"]))
    classes = KINDS[kind]
    if known:
        count = np.bincount(label[chosen], minlength=len(classes))
        few = ", ".join(f"{name} {n}" for name, n in zip(classes, count.tolist(), strict=True) if n < 10)
        require(f"{path}", (not few, f"ten sources or more of each class, found {few}"))
    x = np.stack([columns[name] for name in FEATURES], axis=1)[chosen]
    return Sources(
        path,
        tuple(FEATURES),
        tuple(FEATURES.values()),
        classes,
        x,
        np.zeros_like(x),
        label[chosen],
        np.floor(rows["glon_deg"][chosen] / SECTOR_DEG).astype(np.int64),
        tuple(rows["name"][chosen].tolist()),
        np.stack([rows["glon_deg"], rows["glat_deg"]], axis=1)[chosen],
    )


def _labels(rows: NDArray[np.void], kind: Kind) -> NDArray[np.int64]:
    """Return the place of each row's class in those of the kind; -1: none of them."""
    if kind == "agn-psr":
        return np.where(np.isin(rows["class"], AGN), 0, np.where(np.isin(rows["class"], PULSARS), 1, -1))
    return np.array([CLASSES.index(name) if name in CLASSES else -1 for name in rows["group"].tolist()], np.int64)
