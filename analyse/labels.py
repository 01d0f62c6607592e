"""What each source of a field is, draw by draw: classes given the features at the rates of the draw.

The judge gives P(z | x) and the evidence P(x) = sum_z P(z) P(x | z). Draws x_k of the features come from the photons
alone, so that the posterior of feature and class is P(x, z | photons) ~ P(x | photons) P(x | z) P(z): the chain of each
source takes the features of the next draw with the chance min(1, P(x_next) / P(x_now)) (Metropolis, independent
proposals), then z from P(z | x). Rates do not feel classes: a rate that is published rests on photons and its own weak
prior (a cut, Plummer 2015, Stat. Comput. 25, 37), and the sum of sources and diffuse light is that of the photons.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.field_model import FieldModel, Floats
from stream.judges.catalogue import BAND_KEV, HELD, Catalogue, net_counts
from stream.judges.sources import Judge, columns_to_features
from stream.spectra.response import Response

REFINED: Final = ("log_flux", "hardness_soft", "hardness_hard", "log_net_over_background")
CIRCLE: Final = -2 * np.log(1 - HELD)  # squared radius of the circle that features are measured in, over sigma^2


@dataclass(frozen=True, slots=True)
class Labels:
    """The classes of n sources; the last of the C + 1 is none of them (outlier)."""

    classes: tuple[str, ...]  # C, without that
    before: Floats  # (n, C + 1) of the features as measured
    after: Floats  # (n, C + 1) mean over the chain
    label: NDArray[np.int8]  # (chain, draw, n)


def refine(
    found: Catalogue, model: FieldModel, response: Response, rates: Floats, diffuse: Floats
) -> dict[str, Floats]:
    """Return the features REFINED (..., n) at rates (..., n, B) s-1 and normalisations (..., K, B).

    Those of the catalogue, with the neighbours' and the diffuse light taken out as the draw has it; fluxes keep the
    energy of a count that was fitted. A feature that was not measured stays so.
    """
    total = rates.sum(axis=-1)
    aperture = np.array([net_counts(s, response, BAND_KEV)[0] / s.exposure_s for s in found.spectra])
    x, y, sigma = model.sources.T
    row, column = (np.clip(np.rint(p).astype(int), 0, n - 1) for p, n in zip((y, x), model.glow.shape, strict=True))
    under = (diffuse[..., model.tile_of, :] * model.share).sum(axis=-1) * model.glow[row, column]
    area = np.pi * CIRCLE * float(np.min(sigma, initial=np.inf)) ** 2  # the PSF's, however wide the source
    seconds = np.maximum(model.seconds, 1e-30)
    low, middle, high = (np.maximum(rates[..., b], 1e-30) for b in range(3))
    columns = {
        "log_flux": found.columns["log_flux"] + np.log10(total / np.where(aperture > 0, aperture, np.nan)),
        "hardness_soft": (middle - low) / (middle + low),
        "hardness_hard": (high - middle) / (high + middle),
        "log_net_over_background": np.log10(HELD * total / np.maximum(under * area, 0.5 / seconds)),
    }
    measured = {name: np.isfinite(found.columns[name]) for name in REFINED}
    return {name: np.where(measured[name], value, np.nan) for name, value in columns.items()}


def draw_labels(
    judge: Judge, found: Catalogue, refined: dict[str, Floats], log_prior: Floats | None, seed: int
) -> Labels:
    """Return the classes of the sources at features (chain, draw, n); log_prior (n, C) or None, as `Judge.judge`."""
    x, error = columns_to_features(judge.features, found.columns, len(found))
    told = judge.judge(x, error, log_prior)
    before = np.column_stack([told.p, told.outlier])
    shape = next(iter(refined.values())).shape
    p, evidence = np.empty((*shape, before.shape[1])), np.empty(shape)
    for c in range(shape[0]):
        p[c], evidence[c] = _judged(judge, (x, error), {k: v[c] for k, v in refined.items()}, log_prior)
    rng, after = np.random.default_rng(seed), np.zeros_like(before)
    label = np.empty(shape, np.int8)
    now, chain, source = np.zeros((shape[0], shape[2]), np.int64), np.arange(shape[0])[:, None], np.arange(shape[2])
    for d in range(shape[1]):
        gain = evidence[:, d] - evidence[chain, now, source]
        now = np.where(np.log(rng.random(gain.shape)) < gain, d, now)
        there = p[chain, now, source]
        label[:, d] = (rng.random(gain.shape)[..., None] > there.cumsum(axis=-1)).sum(axis=-1).clip(0, p.shape[-1] - 1)
        after += there.mean(axis=0) / shape[1]
    return Labels(judge.classes, before, after, label)


def _judged(
    judge: Judge,
    measured: tuple[NDArray[np.float32], NDArray[np.float32]],
    refined: dict[str, Floats],
    prior: Floats | None,
) -> tuple[Floats, Floats]:
    """Return P (draw, n, C + 1) and ln P(x) (draw, n) with refined features (draw, n), exact, in their places."""
    x, error = (np.tile(one, (len(next(iter(refined.values()))), 1, 1)) for one in measured)
    for name, value in refined.items():
        if name in judge.features:
            k = judge.features.index(name)
            x[..., k], error[..., k] = value, 0.0
    repeated = None if prior is None else np.tile(np.broadcast_to(prior, x.shape[1:2] + prior.shape[-1:]), (len(x), 1))
    told = judge.judge(x.reshape(-1, x.shape[-1]), error.reshape(-1, x.shape[-1]), repeated)
    p = np.column_stack([told.p, told.outlier]).reshape(*x.shape[:2], -1)
    return p, np.nan_to_num(told.log_evidence, nan=0.0).reshape(x.shape[:2])  # a judge without densities: no weight
