"""A whole field sampled at once beside the catalogue's own figures: coverage, bias, classes, diffuse light, cost.

Simulated fields that no shipped model saw. True of a thing found is the light of all true sources within 0.8 FWHM of it
that are nearest to it: no method tells them apart. True diffuse light is that of the sky and of particles with the
sources that were not found, in each tile and band.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from analyse.field import FieldPosterior, Sampling, refine_field
from analyse.field_model import BANDS_KEV
from analyse.field_plots import plot_field
from bench import figures
from models.sources.evaluate import Judged, intervals
from sim.seeds import Seeds
from sim.sources.camera import Camera, built_in
from sim.sources.catalogue import NEAR, labelled, seen_of
from sim.sources.emission import parsed
from sim.sources.field import Field, make_field
from sim.sources.sets import Ranges
from stream.imaging.detect import Flaw
from stream.imaging.image import FWHM
from stream.judges.catalogue import BAND_KEV, make_catalogue, net_counts
from stream.judges.sources import Judge, Posterior

COMMAND = "python -m bench.sources.joint"
PICTURE = figures.FOLDER.parent / "pictures" / "sources_joint.png"
LEVELS = {"68 %": 0.68, "90 %": 0.90}
BRIGHT = 8.0  # sigma: far above the threshold of 4.5, which keeps what scattered upwards
DRAWN = 1000  # times that fields are drawn anew for an interval
Floats = NDArray[np.float64]
Rows = dict[str, tuple[Any, ...]]
Told = dict[str, NDArray[Any]]


def bands_of(camera: Camera) -> Floats:
    """Return which channels are in which band, (B, channels)."""
    low = camera.response.e_min_kev
    return np.array([(low >= a - 1e-6) & (low < b - 1e-6) for a, b in pairwise(BANDS_KEV)], float)


def true_rates(field: Field) -> Floats:
    """Return counts s-1 (n, B) of the true sources."""
    answer, bands = field.camera.response, bands_of(field.camera)
    found = np.zeros((len(field.truth), len(BANDS_KEV) - 1))
    for own, row in zip(found, field.truth, strict=True):
        model = parsed(row["model"].decode())
        values = row["values"][np.isfinite(row["values"])]
        own[:] = bands @ answer.fold(model.photons(values, answer.energy_lo_kev, answer.energy_hi_kev))
    return found


def true_light(field: Field) -> Floats:
    """Return the counts of sky and particles, (rows, columns, B)."""
    camera, exposure = field.camera, field.exposure()
    area = np.maximum(camera.response.area_cm2, 1e-9)
    light = camera.particles * np.diff(BANDS_KEV) * exposure[..., None]
    for glow in field.glows:
        seen = camera.response.fold(glow.spectrum / area)
        light = light + (glow.rate * exposure)[..., None] * (bands_of(camera) @ seen / seen.sum())
    return light


def owners(field: Field, done: FieldPosterior) -> NDArray[np.int64]:
    """Return for each true source the thing found that has its light, -1: none."""
    found = done.found.detections.sources
    apart = np.hypot(field.truth["x"][:, None] - found["x"], field.truth["y"][:, None] - found["y"])
    near = apart.min(axis=1, initial=np.inf) <= NEAR * FWHM * field.camera.sigma_px
    return np.where(near, apart.argmin(axis=1), -1)


def inside(draws: Floats, truth: Floats) -> Told:
    """Return which truths lie within the central intervals of draws (chain, draw, ...)."""
    rank = (draws < truth).mean(axis=(0, 1))
    return {name: np.abs(rank - 0.5) < level / 2 for name, level in LEVELS.items()}


def of_sources(field: Field, done: FieldPosterior, rates: Floats, owner: NDArray[np.int64]) -> Told:
    """Return what is told of the sources that have true light of a known class."""
    n = len(done.found)
    truth = np.zeros((n, rates.shape[1]))
    np.add.at(truth, owner[owner >= 0], rates[owner >= 0])
    rows, sources = labelled(field, done.found), done.found.detections.sources
    aperture = [net_counts(s, field.camera.response, BAND_KEV)[0] / s.exposure_s for s in done.found.spectra]
    total = truth.sum(axis=1)
    told: Told = {"real": (rows["source"] >= 0) & (total > 0), "blend": (sources["flag"] & Flaw.BLEND) > 0}
    told |= {"bright": sources["significance"] >= BRIGHT, "class": rows["class"]}
    told |= {f"total in {name}": held for name, held in inside(done.rates.sum(axis=-1), total).items()}
    told |= {f"band in {name}": held for name, held in inside(done.rates, truth).items()}
    mean = done.rates.sum(axis=-1).mean(axis=(0, 1))
    for name, value in {"aperture": np.array(aperture), "fit": sources["rate"], "joint": mean}.items():
        told[name] = value / np.maximum(total, 1e-30)
    assert done.labels is not None
    return told | {"before": done.labels.before, "after": done.labels.after}


def of_tiles(field: Field, done: FieldPosterior, rates: Floats, owner: NDArray[np.int64]) -> Told:
    """Return what is told of the diffuse light, by tile and band (K, B), and of all of it."""
    light, tiles, shape = true_light(field), done.model.tiles, done.model.expected.shape
    truth = np.stack([np.bincount(tiles.ravel(), light[..., b].ravel(), shape[0]) for b in range(shape[1])], axis=1)
    sky = truth.sum()
    lost = np.flatnonzero(owner < 0)
    y, x = (np.clip(np.rint(field.truth[name][lost]).astype(int), 0, tiles.shape[k] - 1) for k, name in enumerate("yx"))
    np.add.at(truth, tiles[y, x], rates[lost] * field.setup.exposure_s)
    draws = done.diffuse_counts()
    whole = draws.sum(axis=(2, 3))
    told: Told = {f"tile in {name}": held for name, held in inside(draws, truth).items()}
    told |= {f"all in {name}": held[None] for name, held in inside(whole, truth.sum()).items()}
    bare = (done.normalisations * done.model.expected).sum(axis=(2, 3))
    for name, value in {"map": done.model.expected.sum(), "without knots": bare.mean(), "joint": whole.mean()}.items():
        told[f"{name} over all"], told[f"{name} over sky"] = np.array([value / truth.sum()]), np.array([value / sky])
    return told


def of_field(job: tuple[int, int]) -> tuple[Told, Told]:
    """Return what is told of the sources and of the diffuse light of one field (seed, number)."""
    (seed, number), camera, judge = job, built_in(), Judge("sources")
    setup = Ranges().setup(Seeds(seed), number)
    field = make_field(camera, setup, seed, number + 1)
    seen = seen_of(field)
    found = make_catalogue(seen, Ranges().threshold)
    began = time.process_time()
    done = refine_field(seen, found, judge, setup.b_deg, Sampling(seed=number))
    spent = time.process_time() - began
    if number == 0:
        plot_field(PICTURE, seen, done)
    rates, owner = true_rates(field), owners(field, done)
    draws = done.sampled.draws
    tiles = of_tiles(field, done, rates, owner) | {"cpu": np.array([spent]), "ess": np.array([draws.ess.min()])}
    tiles |= {"rhat": np.array([draws.rhat.max()]), "failed": np.array([done.sampled.fault() is not None])}
    sources = of_sources(field, done, rates, owner)
    return sources | {"field": np.full(len(found), number)}, tiles


def share(held: NDArray[Any]) -> tuple[Any, ...]:
    """Return the share of what holds, with its binomial 68 % interval."""
    hits, n = int(held.sum()), held.size
    low = beta.ppf(0.1587, hits, n - hits + 1) if hits else 0.0
    return hits / n, "", (float(low), float(beta.ppf(0.8413, hits + 1, n - hits)) if hits < n else 1.0)


def resampled(what: Any, groups: NDArray[Any]) -> tuple[float, str, tuple[float, float]]:
    """Return a figure of rows, `what(rows)`, with the 68 % interval from drawing whole groups (n,) anew."""
    rng, names = np.random.default_rng(0), np.unique(groups)
    places = [np.flatnonzero(groups == name) for name in names]
    draws = [what(np.concatenate([places[k] for k in rng.integers(len(names), size=len(names))])) for _ in range(DRAWN)]
    low, high = np.quantile(draws, [0.16, 0.84])
    return float(what(np.arange(len(groups)))), "", (float(low), float(high))


def source_rows(told: Told) -> Rows:
    """Return coverage and bias of the rates."""
    rows: Rows = {"sources found": (len(told["real"]), ""), "of them true sources": (int(told["real"].sum()), "")}
    cuts = {"all": told["real"], "8 sigma": told["real"] & told["bright"]}
    cuts |= {"a neighbour within 2 FWHM": told["real"] & told["blend"]}
    for name, cut in cuts.items():
        for level in LEVELS:
            for what in ("total", "band"):
                rows[f"rates, {name}: {what} within {level}"] = share(told[f"{what} in {level}"][cut])
    for name, cut in {"alone": ~told["blend"], "a neighbour within 2 FWHM": told["blend"]}.items():
        at = np.flatnonzero(told["real"] & cut & told["bright"])
        rows[f"bias, {name}, 8 sigma: sources"] = (len(at), "")
        for way in ("aperture", "fit", "joint"):
            ratio = told[way][at]
            value, _, (low, high) = resampled(lambda k, r=ratio: np.median(r[k]) - 1, told["field"][at])
            rows[f"bias, {name}, 8 sigma: {way}"] = (100 * value, "%", (100 * low, 100 * high))
            value, _, (low, high) = resampled(lambda k, r=ratio: np.median(np.abs(r[k] - 1)), told["field"][at])
            rows[f"error, {name}, 8 sigma: {way}"] = (100 * value, "%", (100 * low, 100 * high))
    return rows


def class_rows(told: Told, judge: Judge) -> Rows:
    """Return macro-F1 and log-loss of the classes, before and after, and what is gained, fields drawn anew."""
    label = np.array([judge.classes.index(name.decode()) for name in told["class"]])
    rows, judged = Rows(), {}
    for when in ("before", "after"):
        p = told[when][:, :-1]
        decided = judge.decide(Posterior(p, np.zeros(len(p)), told[when][:, -1], np.zeros(len(p))))
        judged[when] = Judged(judge.classes, label, p, decided, told["field"])
        for key, (value, low, high) in intervals(judged[when]).items():
            if key in ("macro-F1", "macro-F1, rule", "accuracy", "ECE", "diffuse F1"):
                rows[f"classes {when}: {key}"] = (value, "", (low, high))
    loss = {when: -np.log(np.maximum(one.p[np.arange(len(label)), label], 1e-12)) for when, one in judged.items()}
    for when, each in loss.items():
        rows[f"classes {when}: log-loss"] = resampled(lambda k, e=each: e[k].mean(), told["field"])
    gain = loss["after"] - loss["before"]
    rows["classes: log-loss after less before"] = resampled(lambda k: gain[k].mean(), told["field"])

    def f1(which: NDArray[Any]) -> float:
        after, before = (macro_f1(judged[when], which) for when in ("after", "before"))
        return after - before

    rows["classes: macro-F1 after less before"] = resampled(f1, told["field"])
    return rows


def macro_f1(judged: Judged, which: NDArray[Any]) -> float:
    """Return macro-F1 of the most probable classes of some sources."""
    label, called = judged.label[which], judged.p[which].argmax(axis=1)
    there = np.unique(label)
    both = [2 * np.sum((label == k) & (called == k)) / (np.sum(label == k) + np.sum(called == k)) for k in there]
    return float(np.mean(both))


def light_rows(told: Told, fields: int) -> Rows:
    """Return coverage and errors of the diffuse light, and the cost."""
    rows: Rows = {"tiles and bands": (told["tile in 68 %"].size, "")}
    for level in LEVELS:
        rows[f"diffuse light of a tile and band within {level}"] = share(told[f"tile in {level}"])
        rows[f"diffuse light of a field within {level}"] = share(told[f"all in {level}"])
    for name in ("map", "without knots", "joint"):
        for of, words in (("all", "with sources not found"), ("sky", "alone")):
            off = 100 * (told[f"{name} over {of}"] - 1)
            value, _, ends = resampled(lambda k, o=off: o[k].mean(), np.arange(fields))
            rows[f"all diffuse light, {words}: {name}, bias"] = (value, "%", ends)
            value, _, ends = resampled(lambda k, o=off: np.sqrt(np.mean(o[k] ** 2)), np.arange(fields))
            rows[f"all diffuse light, {words}: {name}, rms"] = (value, "%", ends)
    rows["CPU of a field, diffuse map included"] = (float(np.median(told["cpu"])), "s")
    rows["smallest ESS, median of fields"] = (float(np.median(told["ess"])), "draws")
    rows["largest R-hat of all fields"] = (float(told["rhat"].max()), "")
    rows["fields whose gates failed"] = (int(told["failed"].sum()), "")
    return rows


def together(parts: list[Told]) -> Told:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def main() -> None:
    """Write docs/figures/sources_joint.json and the picture."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--fields", type=int, default=10)
    words.add_argument("--seed", type=int, default=5, help="of the fields; 1 and 2 trained and tested the models")
    words.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = words.parse_args()
    sources, tiles = [], []
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        for one, other in pool.map(of_field, [(given.seed, number) for number in range(given.fields)]):
            sources.append(one)
            tiles.append(other)
            print(f"{len(one['real'])} sources, {other['cpu'][0]:.0f} s", flush=True)
    told = together(sources)
    rows: Rows = {"fields": (given.fields, "")} | source_rows(told) | class_rows(told, Judge("sources"))
    figures.write("sources_joint", COMMAND, rows | light_rows(together(tiles), given.fields))


if __name__ == "__main__":
    main()
