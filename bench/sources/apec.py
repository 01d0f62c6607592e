"""APEC's spectra as PIMMS ships them, and an ACIS response, for the comparison with the table made here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Photons cm-2 s-1 per bin (k, n) for norm 1, at log_t (k,), between edges_kev (n + 1,)."""

    log_t: Floats
    edges_kev: Floats
    photons: Floats

    def rebin(self, edges_kev: Floats, *, energy: bool = False) -> Floats:
        """Return photons, or keV, cm-2 s-1 in other bins (k, m): evenly spread in each bin; none outside."""
        mid = 0.5 * (self.edges_kev[1:] + self.edges_kev[:-1])
        content = self.photons * mid if energy else self.photons
        cumulative = np.concatenate([np.zeros((len(content), 1)), np.cumsum(content, axis=1)], axis=1)
        return np.diff(np.array([np.interp(edges_kev, self.edges_kev, row) for row in cumulative]))


def read_pimms(folder: Path) -> Spectra:
    """Read apec10_*.mdl.gz (solar): middle of a bin in keV, photons cm-2 s-1 keV-1 for norm 1; abundances are aspl."""
    files = sorted(folder.glob("apec10_*.mdl.gz"))
    tables = [np.loadtxt(path) for path in files]
    mid = tables[0][:, 0]
    inner = 0.5 * (mid[1:] + mid[:-1])
    edges = np.concatenate([[2 * mid[0] - inner[0]], inner, [2 * mid[-1] - inner[-1]]])
    log_t = np.array([int(path.name[7:10]) / 100 for path in files])
    return Spectra(log_t, edges, np.array([np.interp(mid, t[:, 0], t[:, 1]) for t in tables]) * np.diff(edges))


def read_table(path: Path) -> tuple[Spectra, Floats]:
    """Return the shipped table, and its share of the metals (k, n) photons cm-2 s-1 per bin."""
    with np.load(path, allow_pickle=False) as file:
        log_t, edges, photons, metals = (file[k].astype(float) for k in ("log_t", "edges_kev", "photons", "metals"))
    return Spectra(np.round(log_t, 4), edges, photons), metals


def read_response(rmf: Path, arf: Path) -> tuple[Floats, Floats, Floats]:
    """Return edges of the model (n + 1,) keV, edges of the channels (m + 1,) keV, and cm2 (n, m)."""
    with fits.open(rmf) as hdus, fits.open(arf) as other:
        bounds, area = hdus["EBOUNDS"].data, other["SPECRESP"].data["SPECRESP"]
        name = "MATRIX" if "MATRIX" in hdus else "SPECRESP MATRIX"
        rows, header = hdus[name].data, hdus[name].header
        column = list(rows.names).index("F_CHAN") + 1
        first = int(header.get(f"TLMIN{column}", 1))
        matrix = np.zeros((len(rows), len(bounds)))
        for n, row in enumerate(rows):
            at = 0
            for start, size in zip(np.atleast_1d(row["F_CHAN"]), np.atleast_1d(row["N_CHAN"]), strict=True):
                matrix[n, start - first : start - first + size] = np.atleast_1d(row["MATRIX"])[at : at + size]
                at += size
        model = np.append(rows["ENERG_LO"], rows["ENERG_HI"][-1]).astype(float)
        channels = np.append(bounds["E_MIN"], bounds["E_MAX"][-1]).astype(float)
    return model, channels, matrix * area[:, None]
