"""The localisation network beside the matched filter, on simulated skies whose background neither of them knows.

    python -m bench.lat.localise [SKIES]

The skies and the matching of `bench.lat.search`, ten years. Three ways to find sources, all fitted by one likelihood:
`filter` is the search of the stream; `filter and network` takes of its detections, from a lower TS on, those that the
network gives a probability; `network` fits the places of its mask and no others. The thresholds of the second and the
third are those at which they are as pure as the filter at TS > 25, all sky, on the sky with the first seed; the figures
are of the others. Flux bins of completeness are of the true, those of purity of the fitted flux.
"""

import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import figures
from bench.lat import search
from bench.lat.search import Skies, judge, match
from stream.judges.lat_mask import MaskJudge
from stream.lat.inputs import inputs_of
from stream.lat.whole import BRIGHT, search_sky

COMMAND = "python -m bench.lat.localise"
LEAST_TS = 9.0  # of what the network is asked about
FILTER_TS = 25.0
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
    by_network = search_sky(replace(given, by_mask=True), maps, LEAST_TS, bright)
    spent = {"filter": middle - began, "network": time.process_time() - middle}
    return {"filter": by_filter, "network": by_network}, sources, spent


def threshold(found: Table, sources: Table, purity: float) -> float:
    """Return the least probability above which detections are as pure as asked for."""
    order = np.argsort(-found["probability"], kind="stable")
    ranked = found[order]
    hits = np.zeros(len(ranked))
    by_ts = np.argsort(-ranked["ts"], kind="stable")  # as they are matched
    hits[by_ts] = match(ranked[by_ts], sources)[0] >= 0
    pure = np.flatnonzero(np.cumsum(hits) / np.arange(1, len(hits) + 1) >= purity)
    return float(ranked["probability"][pure[-1]]) if len(pure) else 1.0


def main() -> None:
    """Measure, and write docs/figures/lat_localise.json, and lat_search.json, of which nothing must be found anew."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    skies, network = Skies.of_ten_years(), MaskJudge()
    first, sources, spent = find(skies, network, 0)
    every, seconds = [(first["filter"], sources)], [spent["filter"]]
    pure = float(np.mean(match(first["filter"][first["filter"]["ts"] >= FILTER_TS], sources)[0] >= 0))
    least = {way: threshold(first[way], sources, pure) for way in first}
    kept: dict[str, list[tuple[Table, Table]]] = {"filter": [], "filter and network": [], "network": []}
    rows: dict[str, tuple[Any, ...]] = {"skies": (number - 1, ""), "purity asked for, all sky": (pure, "")}
    for seed in range(1, number):
        found, sources, spent = find(skies, network, seed)
        rows |= {f"{way}: CPU": (seconds, "s") for way, seconds in spent.items()}
        told, other = found["filter"], found["network"]
        every.append((told, sources))
        seconds.append(spent["filter"])
        kept["filter"].append((told[told["ts"] >= FILTER_TS], sources))
        kept["filter and network"].append((told[told["probability"] >= least["filter"]], sources))
        kept["network"].append((other[other["probability"] >= least["network"]], sources))
    for way, pairs in kept.items():
        rows |= judge(way, pairs)
    rows |= {f"{way}: least probability": (value, "") for way, value in least.items()}
    figures.write("lat_localise", f"{COMMAND} {number}", rows)
    search.write(every, seconds, f"{COMMAND} {number}")


if __name__ == "__main__":
    main()
