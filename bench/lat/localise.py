"""The localisation network beside the matched filter, on simulated skies whose background neither of them knows.

    python -m bench.lat.localise [SKIES]
    python -m bench.lat.localise again     # judges what was found the last time

The skies and the matching of `bench.lat.search`, ten years. Ways to find sources, all fitted by one likelihood: the
search of the stream above a TS; of its detections from TS 9 on, those that the network finds probable; the places of
the network's mask and no others, above a probability; and `stream`, what the daemon does: the network's places in the
patches next to the plane, the filter's elsewhere. And how complete each is where it is as pure as PURE, its
detections taken in the order of their TS, or probability. What was found is kept in out/lat, to be judged again.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import figures
from bench.lat import search
from bench.lat.search import CUTS, Skies, judge, match
from config.localise import Localise
from stream.judges.lat_mask import MaskJudge
from stream.lat.inputs import inputs_of
from stream.lat.whole import BRIGHT, search_sky

COMMAND = "python -m bench.lat.localise"
KEPT = Path("out/lat")
LEAST_TS = 9.0  # of what the network is asked about
WAYS = {  # name: whose detections, what they are ranked by, from where on
    "filter, TS > 25": ("filter", "ts", 25.0),
    "filter, TS > 16": ("filter", "ts", 16.0),
    "filter, p > 0.2": ("filter", "probability", 0.2),
    "filter, p > 0.5": ("filter", "probability", 0.5),
    "network, p > 0.2": ("network", "probability", 0.2),
    "network, p > 0.5": ("network", "probability", 0.5),
}
RANKS = {
    "filter, by TS": ("filter", "ts"),
    "filter, by p": ("filter", "probability"),
    "network": ("network", "probability"),
}
STREAM = "stream"
NEAR_DEG = 9.0  # of the plane: the patches within ten degrees reach so far
PURE = (0.9, 0.95, 0.98)
FROM = 2.34e-10  # photons cm-2 s-1: of the sources that completeness is of
Table = NDArray[Any]
Found = dict[str, Table]


def find(skies: Skies, judge_mask: MaskJudge, seed: int) -> tuple[Found, Table, dict[str, float]]:
    """Return the detections of both ways on a sky, its sources, and the CPU seconds of each."""
    maps, sources = skies.draw(seed)
    given = replace(skies.given, mask=lambda scene: judge_mask.judge(inputs_of(scene)))
    began = time.process_time()
    by_filter = search_sky(given, maps, LEAST_TS)
    middle = time.process_time()
    bright = by_filter[by_filter["ts"] >= BRIGHT]
    by_network = search_sky(replace(given, by_mask_deg=91.0), maps, LEAST_TS, bright)
    spent = {"filter": middle - began, "network": time.process_time() - middle}
    return {"filter": by_filter, "network": by_network}, sources, spent


def complete_at(found: Table, sources: Table, rank: str, pure: float, latitudes: tuple[float, float]) -> float:
    """Return how complete detections are where, taken by rank, they are last as pure as asked for; NaN: never."""
    low, high = latitudes
    here = (np.abs(found["glat_deg"]) >= low) & (np.abs(found["glat_deg"]) < high)
    ranked = found[here][np.argsort(-found[here][rank], kind="stable")]
    by_ts = np.argsort(-ranked["ts"], kind="stable")  # as they are matched
    entry = np.full(len(ranked), -1)
    entry[by_ts] = match(ranked[by_ts], sources)[0]
    number = np.arange(1, len(ranked) + 1)
    enough = np.flatnonzero((np.cumsum(entry >= 0) / number >= pure) & (number >= 50))
    there = (sources["flux"] >= FROM) & (np.abs(sources["glat_deg"]) >= low) & (np.abs(sources["glat_deg"]) < high)
    if not len(enough) or not there.any():
        return float("nan")
    got = entry[: enough[-1] + 1]
    return float(there[got[got >= 0]].sum() / there.sum())


def as_stream(found: Found) -> Table:
    """Return what the stream takes, by default, of both ways."""
    near = np.abs(found["filter"]["glat_deg"]) < NEAR_DEG
    table = np.concatenate([found["filter"][~near], found["network"][np.abs(found["network"]["glat_deg"]) < NEAR_DEG]])
    table = table[(table["ts"] >= Localise().least_ts) & (table["probability"] >= Localise().least_probability)]
    return table[np.argsort(-table["ts"], kind="stable")]


def told(every: list[tuple[Found, Table]]) -> dict[str, tuple[Any, ...]]:
    """Return the figures of all skies."""
    rows: dict[str, tuple[Any, ...]] = {"skies": (len(every), "")}
    for way, (whose, rank, least) in WAYS.items():
        rows |= judge(way, [(found[whose][found[whose][rank] >= least], sources) for found, sources in every])
    rows |= judge(STREAM, [(as_stream(found), sources) for found, sources in every])
    for way, (whose, rank) in RANKS.items():
        for cut, latitudes in CUTS.items():
            for pure in PURE:
                each = [complete_at(found[whose], sources, rank, pure, latitudes) for found, sources in every]
                rows[f"{way}, {cut}: complete above {FROM:.2e} where {pure:g} pure"] = (
                    float(np.mean(each)), "", (min(each), max(each)),
                )  # fmt: skip
    return rows


def main() -> None:
    """Measure, and write docs/figures/lat_localise.json, and lat_search.json, of which nothing must be found anew."""
    if sys.argv[1:] == ["again"]:
        again()
        return
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    skies, network = Skies.of_ten_years(), MaskJudge()
    every: list[tuple[Found, Table]] = []
    seconds: dict[str, list[float]] = {"filter": [], "network": []}
    KEPT.mkdir(parents=True, exist_ok=True)
    for seed in range(number):
        found, sources, spent = find(skies, network, seed)
        np.savez(KEPT / f"found_{seed}.npz", sources=sources, seconds=np.array(list(spent.values())), **found)
        every.append((found, sources))
        for way, used in spent.items():
            seconds[way].append(used)
        print(
            f"sky {seed}: {', '.join(f'{len(found[way])} by {way}, {spent[way]:.0f} s' for way in found)}", flush=True
        )
    write(every, seconds, f"{COMMAND} {number}")


def write(every: list[tuple[Found, Table]], seconds: dict[str, list[float]], command: str) -> None:
    """Write the figures of all skies."""
    rows = told(every) | {f"{way}: CPU of a sky": (float(np.median(used)), "s") for way, used in seconds.items()}
    figures.write("lat_localise", command, rows)
    search.write([(found["filter"], sources) for found, sources in every], seconds["filter"], command)


def again() -> None:
    """Judge what was kept."""
    every, seconds = [], {"filter": [], "network": []}
    for path in sorted(KEPT.glob("found_*.npz")):
        with np.load(path) as kept:
            every.append(({way: kept[way] for way in seconds}, kept["sources"]))
            for way, used in zip(seconds, kept["seconds"].tolist(), strict=True):
                seconds[way].append(used)
    write(every, seconds, f"{COMMAND} {len(every)}")


if __name__ == "__main__":
    main()
