"""One field as a sum: photons of the sources found, through the PSF, and of the diffuse map, free in tiles and bands.

Expected counts of pixel p in band b, of sources s with rates r_sb and tiles t with normalisations a_tb:

    mu_pb = e_p (sum_s r_sb psf_s(p) + a_t(p)b f_b D_p),    n_pb ~ Poisson(mu_pb)

e: exposure, D: the diffuse map, f: share of the band in the counts that no source reaches. Given the origin of every
photon, N_sb of a source and M_tb of a tile, all else is drawn by itself: the place of a source (by Metropolis, nearly
always taken), its total rate R_s and shares q_sb in the bands, the normalisations:

    x_s ~ Normal(mean place of its photons, sigma^2 / N_s) E_s(x_s)^-N_s
    R_s E_s ~ Gamma(N_s, 1) above 1,    q_s ~ Dirichlet(1/B + N_sb),    r_sb = R_s q_sb
    a_tb ~ Gamma(1 + M_tb, 1 + M0_tb)

E_s = sum_p e_p psf_s(p), M0 the map's own counts. The priors: log-flat in the total rate from one count on (what was
found has one), Dirichlet(1/B) in the bands; flat in the place, within MOVE sigma of where it was found and APART of the
way to its neighbour: no two change their names; of a normalisation, one count of the map's brightness. The widths of
sources and the map's shape within a tile are as found: their errors are not in the posterior.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.imaging.detect import Detections
from stream.judges.catalogue import HARDNESS_KEV, Seen
from stream.kernels.origins import REACH, count_reaching, list_reaching

Floats = NDArray[np.float64]
BANDS_KEV: Final = HARDNESS_KEV
SAME: Final = 1e-3  # of the exposure: no more than that is made of a difference
PER_TILE: Final = 40.0  # diffuse counts of a tile in a band, mean: 16 %
MOST_TILES: Final = 8  # along a side
MOVE: Final = 0.5  # sigma of its PSF that a source may be away, along x and y, from where it was found
APART: Final = 0.35  # likewise, of the distance to the nearest other one


@dataclass(frozen=True, slots=True)
class FieldModel:
    """The photons of a field of n sources, K tiles and B bands, as `share_photons` takes them."""

    seconds: Floats  # (n,) E_s, where they were found
    exposure: Floats  # (rows, columns) s
    expected: Floats  # (K, B) M0
    alone: Floats  # (K, B) photons that no source reaches
    cells: tuple[NDArray[Any], ...]
    near: tuple[NDArray[Any], ...]
    near_s: Floats  # (m,) exposure of the pixels of `near`
    sources: Floats  # (n, 3) x, y, sigma, px of the image
    tiles: NDArray[np.int64]  # (rows, columns) number of the tile of each pixel
    glow: Floats  # (rows, columns) D, counts s-1 px-1
    share: Floats  # (B,) f
    tile_of: NDArray[np.int64]  # (n,) tile of each source
    reach: Floats  # (n,) px that a source may be away from where it was found
    uneven: NDArray[np.int64]  # sources whose exposure is not the same wherever their light falls

    @property
    def shared(self) -> int:
        """Photons whose origin is drawn."""
        return int(self.cells[3].sum())

    @property
    def photons(self) -> Floats:
        """Photons of each tile and band, (K, B)."""
        count = self.alone.copy()
        np.add.at(count, (self.cells[2], self.cells[1]), self.cells[3])
        return count


def build_field(seen: Seen, found: Detections, glow: Floats, tiles: int | None = None) -> FieldModel:
    """Return the model of a field; glow (rows, columns): its diffuse map, counts s-1 px-1.

    tiles: along a side; None: as many as have PER_TILE diffuse counts in each band, MOST_TILES at most. Without photons
    or sources the lists are empty. Raises ConfigError for a field without exposure.
    """
    exposure = np.ascontiguousarray(seen.exposure_s, np.float64)
    if not exposure.any():
        raise ConfigError("exposure: expected some above 0 s, found none: nothing was observed")
    table = np.stack([found.sources[name] for name in ("x", "y", "sigma_px")], axis=1).reshape(-1, 3).astype(np.float64)
    number = np.zeros(exposure.shape, np.int64)
    seconds = count_reaching(table, exposure, number)
    bands = len(BANDS_KEV) - 1
    images = np.stack([seen.image(*BANDS_KEV[b : b + 2]) for b in range(bands)], axis=-1) * (exposure > 0)[..., None]
    light = glow * exposure
    side = tiles or int(np.clip(np.sqrt(light.sum() / bands / PER_TILE), 1, MOST_TILES))
    tile = _tiles(exposure.shape, side)
    alone = _by_tile(np.where(number[..., None] > 0, 0, images), tile, side**2)
    share = (alone.sum(axis=0) + 0.5) / (alone.sum() + 0.5 * bands)
    near, near_s, cells = _listed(images, number, (table, exposure), (tile, light[..., None] * share))
    y, x = (np.clip(np.rint(table[:, k]).astype(int), 0, exposure.shape[1 - k] - 1) for k in (1, 0))
    expected = _by_tile(light[..., None] * share, tile, side**2)
    uneven = np.flatnonzero([_is_uneven(exposure, own) for own in table])
    parts = (table, tile, glow, share, tile[y, x], _reach(table), uneven)
    return FieldModel(np.maximum(seconds, 1e-9), exposure, expected, alone, cells, near, near_s, *parts)


def _listed(
    images: Floats, number: NDArray[np.int64], seen: tuple[Floats, Floats], diffuse: tuple[NDArray[np.int64], Floats]
) -> tuple[tuple[NDArray[Any], ...], Floats, tuple[NDArray[Any], ...]]:
    """Return `near`, `near_s` and `cells` of the pixels with counts (rows, columns, B) that a source reaches."""
    table, exposure = seen
    tile, light = diffuse
    wanted = (number > 0) & (images.sum(axis=-1) > 0)
    place = np.where(wanted, np.cumsum(wanted).reshape(wanted.shape) - 1, -1)
    begins = np.concatenate([[0], np.cumsum(number[wanted])]).astype(np.int64)
    source_of, weight = np.zeros(begins[-1], np.int64), np.zeros(begins[-1])
    list_reaching(table, exposure, place, begins, source_of, weight)
    y, x, band = np.nonzero(np.where(wanted[..., None], images, 0))
    cells = (place[y, x], band.astype(np.int64), tile[y, x], images[y, x, band].astype(np.int64), light[y, x, band])
    row, column = (axis.astype(float) for axis in np.nonzero(wanted))
    return (begins, source_of, column, row), exposure[wanted], cells


def _is_uneven(exposure: Floats, source: Floats) -> bool:
    """Return whether the exposure is not the same wherever a source's light may fall."""
    x, y, sigma = source
    side = int(np.ceil((REACH + MOVE) * sigma)) + 1
    row, column = int(np.rint(y)), int(np.rint(x))
    seen = exposure[max(row - side, 0) : max(row + side + 1, 0), max(column - side, 0) : max(column + side + 1, 0)]
    return bool(seen.size < (2 * side + 1) ** 2 or np.ptp(seen) > SAME * seen.max())


def _reach(table: Floats) -> Floats:
    apart = np.hypot(*(table[:, None, :2] - table[None, :, :2]).transpose(2, 0, 1))
    apart[np.diag_indices(len(table))] = np.inf
    return np.minimum(MOVE * table[:, 2], APART * apart.min(axis=1, initial=np.inf))


def _tiles(shape: tuple[int, ...], side: int) -> NDArray[np.int64]:
    row, column = (np.arange(n) * side // max(n, 1) for n in shape)
    return np.asarray(row[:, None] * side + column[None], np.int64)


def _by_tile(values: Floats, tile: NDArray[np.int64], tiles: int) -> Floats:
    """Return sums (K, B) of values (rows, columns, B)."""
    bands = values.shape[-1]
    return np.stack([np.bincount(tile.ravel(), values[..., b].ravel(), tiles) for b in range(bands)], axis=1)
