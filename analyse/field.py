"""A whole field at once: rates of its sources, the light between them and the classes, as one posterior."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from analyse.field_model import BANDS_KEV, FieldModel, Floats, build_field
from analyse.gibbs import FieldDraws, sample_field
from analyse.labels import Labels, draw_labels, refine
from sim.sources.populations import DIFFUSE
from stream.imaging.diffuse import DiffuseMap, diffuse_map
from stream.judges.catalogue import BAND_KEV, Catalogue, Seen
from stream.judges.sources import Judge
from stream.kernels.sources import add_source

KEPT: Final = 1000  # draws, of all chains, that are published and judged
SHOWN: Final = 20
INTERVALS: Final = {"68": (0.16, 0.84), "90": (0.05, 0.95)}


@dataclass(frozen=True, slots=True)
class FieldPosterior:
    """Draws (chain, draw, ...) of a field of n sources, K tiles and B bands, thinned to KEPT in all."""

    found: Catalogue
    model: FieldModel
    diffuse_map: DiffuseMap
    sampled: FieldDraws  # all draws
    rates: Floats  # (chain, draw, n, B) s-1
    normalisations: Floats  # (chain, draw, K, B)
    places: Floats  # (chain, draw, n, 2) px of the image
    features: dict[str, Floats]  # refined ones, (chain, draw, n)
    labels: Labels | None  # None: no model of classes, or no sources
    seed: int

    def diffuse_counts(self) -> Floats:
        """Return the counts of diffuse light (chain, draw, K, B): sources whose label is `diffuse` are part of it."""
        counts = self.normalisations * self.model.expected
        knots = self.rates * self.model.seconds[:, None] * self.is_diffuse()[..., None]
        for k, tile in enumerate(self.model.tile_of):
            counts[..., tile, :] += knots[..., k, :]
        return counts

    def is_diffuse(self) -> NDArray[np.bool_]:
        """Return which sources are diffuse light, (chain, draw, n)."""
        if self.labels is None or DIFFUSE not in self.labels.classes:
            return np.zeros(self.rates.shape[:3], bool)
        return self.labels.label == self.labels.classes.index(DIFFUSE)

    def diffuse_image(self) -> tuple[Floats, Floats]:
        """Return rate and error, (rows, columns) counts s-1 px-1, of the diffuse light with what is labelled so.

        The error is that of normalisations and labels; that of the map's shape within a tile is in `diffuse_map`.
        """
        model, level = self.model, (self.normalisations * self.model.share).sum(axis=-1)
        rate = level.mean(axis=(0, 1))[model.tiles] * model.glow
        variance = (level.std(axis=(0, 1))[model.tiles] * model.glow) ** 2
        knots, even = self.rates.sum(axis=-1) * self.is_diffuse(), np.ones(rate.shape)
        for (x, y, sigma), own in zip(model.sources, np.moveaxis(knots, -1, 0), strict=True):
            if own.any():
                part = np.zeros(rate.shape)
                add_source(part, even, (x, y, 1.0, sigma), 1.0)
                rate += part * own.mean()
                variance += (part * own.std()) ** 2
        return rate, np.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a posterior is drawn: draws of each chain, None: as many as the gates ask for."""

    seed: int = 0
    chains: int = 4
    draws: int | None = None


def refine_field(
    seen: Seen, found: Catalogue, judge: Judge | None = None, latitude_deg: float | None = None,
    how: Sampling = Sampling(),
) -> FieldPosterior:  # fmt: skip
    """Return the posterior of a field whose sources were found, with its diffuse light. Without sources, that of this.

    latitude_deg: Galactic, for the prior of the classes; None: the judge's own. Raises ConfigError without exposure.
    """
    seed = how.seed
    made = diffuse_map(seen.image(*BAND_KEV), seen.exposure_s, found.detections, seen.psf_sigma_px, seed)
    model = build_field(seen, found.detections, made.rate)
    sampled = sample_field(model, found.detections.sources["rate"], seed, how.chains, how.draws)
    step = max(-(-how.chains * sampled.rates.shape[1] // KEPT), 1)
    rates, normalisations = sampled.rates[:, ::step], sampled.normalisations[:, ::step]
    features, labels = {}, None
    if len(found):
        features = refine(found, model, seen.response, rates, normalisations)
        if judge is not None:
            prior = None if latitude_deg is None else judge.prior_at(np.full(len(found), latitude_deg))
            labels = draw_labels(judge, found, features, prior, seed)
    drawn = rates, normalisations, sampled.places[:, ::step]
    return FieldPosterior(found, model, made, sampled, *drawn, features, labels, seed)


def quantiles(draws: Floats) -> dict[str, Floats]:
    """Return mean, sd, and the intervals (..., 2) of INTERVALS, of draws (chain, draw, ...)."""
    flat = draws.reshape(draws.shape[0] * draws.shape[1], *draws.shape[2:])
    ends = {name: np.moveaxis(np.quantile(flat, both, axis=0), 0, -1) for name, both in INTERVALS.items()}
    return {"mean": flat.mean(axis=0), "sd": flat.std(axis=0), **ends}


def source_table(done: FieldPosterior, bin_px: int = 1) -> NDArray[np.void]:
    """Return a row for each source; RATE of each band, s-1, of all its PSF, TOTAL of all bands, features, classes."""
    sources = done.found.detections.sources
    columns: dict[str, NDArray[Any]] = {"ID": sources["id"], "FLAG": sources["flag"], "TILE": done.model.tile_of}
    for k, name in enumerate("xy"):
        columns[f"{name.upper()}_FOUND"] = (sources[name] + 0.5) * bin_px - 0.5
        columns |= _told(name.upper(), (done.places[..., k] + 0.5) * bin_px - 0.5)
    columns |= {"NET_COUNTS": sources["net_counts"], "RATE_FOUND": sources["rate"]}
    columns |= {"RATE_FOUND_ERROR": sources["rate_error"]}
    columns |= _told("RATE", done.rates) | _told("TOTAL", done.rates.sum(axis=-1))
    for name, value in done.features.items():
        columns[f"{name.upper()}_FOUND"] = done.found.columns[name]
        columns |= _told(name.upper(), value)
    if done.labels is not None:
        columns |= {"P_BEFORE": done.labels.before, "P": done.labels.after}
        columns |= {"CLASS_BEFORE": done.labels.before.argmax(axis=1), "CLASS": done.labels.after.argmax(axis=1)}
    return _table(columns)


def tile_table(done: FieldPosterior, bin_px: int = 1) -> NDArray[np.void]:
    """Return a row for each tile: its pixels of the camera, normalisations, COUNTS of diffuse light, by band."""
    tiles = done.model.tiles
    rows, columns = (
        [np.flatnonzero((tiles == t).any(axis=axis)) for t in range(len(done.model.expected))] for axis in (1, 0)
    )
    ends = {"Y": rows, "X": columns}
    told: dict[str, NDArray[Any]] = {"TILE": np.arange(len(done.model.expected))}
    for name, places in ends.items():
        told[f"{name}_LO"] = np.array([p[0] * bin_px if p.size else -1 for p in places])
        told[f"{name}_HI"] = np.array([(p[-1] + 1) * bin_px if p.size else -1 for p in places])
    told |= {"PHOTONS": done.model.photons, "MAP_COUNTS": done.model.expected}
    return _table(told | _told("NORM", done.normalisations) | _told("COUNTS", done.diffuse_counts()))


def _told(name: str, draws: Floats) -> dict[str, NDArray[Any]]:
    with np.errstate(invalid="ignore"):
        told = quantiles(draws)
    ends = {f"{name}_{level}": told[level] for level in INTERVALS}
    return {name: told["mean"], f"{name}_ERROR": told["sd"], **ends}


def _table(columns: dict[str, NDArray[Any]]) -> NDArray[np.void]:
    kinds = {name: "<i4" if value.dtype.kind in "iu" else "<f8" for name, value in columns.items()}
    table = np.empty(
        len(next(iter(columns.values()))), [(name, kinds[name], value.shape[1:]) for name, value in columns.items()]
    )
    for name, value in columns.items():
        table[name] = value
    return table


def show_field(console: Console, done: FieldPosterior) -> None:
    """Print the brightest sources and the diffuse light, before and after."""
    about, draws = done.sampled.draws.about, done.sampled.draws
    table = Table(box=None, pad_edge=False, title=f"{len(done.found)} sources, {len(done.model.expected)} tiles")
    for name in ("ID", "rate found", "rate", "68 %", "class found", "P", "class", "P"):
        table.add_column(name, justify="right")
    for row in source_table(done)[:SHOWN]:
        figures = [str(row["ID"]), f"{row['RATE_FOUND']:.3g}", f"{row['TOTAL']:.3g}"]
        figures.append(" to ".join(f"{v:.3g}" for v in row["TOTAL_68"]))
        if done.labels is not None:
            names = (*done.labels.classes, "none")
            for end in ("_BEFORE", ""):
                figures += [names[row[f"CLASS{end}"]], f"{row[f'P{end}'].max():.2f}"]
        table.add_row(*figures)
    console.print(table)
    told, map_counts = quantiles(done.diffuse_counts().sum(axis=(2, 3))[..., None]), done.model.expected.sum()
    low, high = told["68"][0]
    console.print(
        f"diffuse light {told['mean'][0]:.0f} counts, 68 % {low:.0f} to {high:.0f}; its map {map_counts:.0f}; "
        f"{done.model.photons.sum():.0f} photons in {BANDS_KEV[0]:g}-{BANDS_KEV[-1]:g} keV"
    )
    console.print(
        f"{about['chains']:.0f} chains, {about['sweeps']:.0f} sweeps, {draws.seconds:.1f} s, seed {done.seed}; "
        f"smallest ESS {draws.ess.min(initial=np.inf):.0f}, largest R-hat {draws.rhat.max(initial=0):.4f}"
    )
