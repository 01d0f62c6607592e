"""Truth about a direction: log N-log S of every class as absorbed, and the classes' prior at a flux."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.sources.emission import Emission, Shapes, Spectra
from sim.sources.galaxy import Sight
from sim.sources.populations import ALL, CLASSES, census

Floats = NDArray[np.float64]
NODES_NH: Final = np.array([0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])  # 1e22 cm-2
SAMPLE: Final = 24  # parameter sets that stand for all of a kind
_kept: dict[int, Floats] = {}


def transmission(emission: Emission) -> Floats:
    """Return absorbed over unabsorbed flux, (SAMPLE, nodes), at NODES_NH."""
    if id(emission) not in _kept:
        _kept[id(emission)] = sample(emission, Shapes(np.empty(0), np.empty(0))).flux.reshape(SAMPLE, -1)
    return _kept[id(emission)]


def sample(emission: Emission, shapes: Shapes) -> Spectra:
    """Return SAMPLE spectra of an unabsorbed flux of 1 erg cm-2 s-1, each at all NODES_NH in turn."""
    nodes = len(NODES_NH)
    drawn = emission.draw(np.random.default_rng(0), SAMPLE)
    each = {name: np.repeat(column, nodes) for name, column in drawn.items()}
    return emission.spectra(each, np.tile(NODES_NH, SAMPLE), np.ones(SAMPLE * nodes), shapes)


def log_n_log_s(sight: Sight, sky_sr: float, log_flux: Floats) -> dict[str, Floats]:
    """Return for each class the mean number of sources in a solid angle above absorbed fluxes, log S (n,) 0.5-8 keV."""
    found = {name: np.zeros(len(log_flux)) for name in CLASSES}
    for population in ALL:
        there = census(population, sight, sky_sr)
        for lost in np.log10(transmission(population.emission)):
            seen = there.log_flux + np.interp(there.nh, NODES_NH, lost)[:, None]
            order = np.argsort(seen, axis=None)
            sums = np.concatenate([[0.0], np.cumsum(there.number.ravel()[order])])
            above = sums[-1] - sums[np.searchsorted(seen.ravel()[order], log_flux)]
            found[population.kind] += above / SAMPLE
    return found


def prior(sight: Sight, log_flux: Floats) -> Floats:
    """Return P(class | l, b, flux), (n, CLASSES), of point sources with these absorbed fluxes, log S (n,) 0.5-8 keV."""
    half = 0.1
    ends = np.concatenate([log_flux - half, log_flux + half])
    counts = [above[: len(log_flux)] - above[len(log_flux) :] for above in log_n_log_s(sight, 1.0, ends).values()]
    density = np.maximum(np.stack(counts, axis=1), 1e-30)
    return density / density.sum(axis=1, keepdims=True)
