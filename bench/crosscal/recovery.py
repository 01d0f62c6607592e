"""Known corrections found again: coverage of intervals, bias of temperatures of clusters that were held out.

    python -m bench.crosscal.recovery [--grid GRID.h5] [--samples 256]

Each sample: a theta of the prior, 50 clusters with 3 % errors of both temperatures, simulated spectrum by spectrum
and fitted (`simulate crosscal-clusters`: the truth knows neither the emulator nor the grid), and 50 more that are held
out. What is inferred goes through the shipped emulator, or a grid. Posteriors are those that the proposals of the
chains are made of (importance sampling); every 32nd is sampled by chains behind their gates as well, and both
are held beside each other. It goes on where it was left.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.concordance import Prior
from analyse.crosscal.discrepancy import correct
from analyse.crosscal.infer import sample, weigh
from analyse.crosscal.law import Curves, Law
from analyse.crosscal.likelihood import Data, Density
from analyse.crosscal.study import open_law
from analyse.crosscal.table import Clusters
from bench import figures
from config.errors import ConfigError
from sim.crosscal.clusters import Sample, simulate_clusters
from sim.crosscal.grid import Inputs

COMMAND: Final = "python -m bench.crosscal.recovery"
CLUSTERS: Final = 50
ERROR: Final = 0.03
KT_KEV: Final = (1.0, 12.0)
STEPS: Final = 400
DRAWS: Final = 4000
CHAINS: Final = 32
RANKS: Final = (0.68, 0.90, 0.95)


def one(law: Law, prior: Prior, theta: NDArray[Any], seed: int, chains: bool) -> dict[str, Any]:
    """Return ranks of the truth, and what is wrong with clusters held out, of one sample."""
    family = prior.family.name
    drawn = Sample(2 * CLUSTERS, ERROR, KT_KEV, family=family, theta=tuple(theta.tolist()), seed=seed)
    table = simulate_clusters(drawn, Inputs())
    columns = [np.asarray(table[key], float) for key in ("KT_0", "KT_0_ERR", "KT_1", "KT_1_ERR")]
    clusters = Clusters(tuple(table["NAME"]), *columns)
    learned, held = np.arange(CLUSTERS), np.arange(CLUSTERS, 2 * CLUSTERS)
    density = Density(Data.of(clusters.take(learned)), law, prior)
    began = time.process_time()
    points, effective = weigh(density, seed, DRAWS)
    exact = Clusters(clusters.name, *columns[:2], np.asarray(table["KT_1_EXPECTED"], float), columns[3]).take(held)
    true = np.asarray(table["KT_TRUE"], float)[held]
    x = np.log(correct(exact, Curves(law.ln_kt, law.ln_ratio(points[:: DRAWS // 400])))[0])  # (draws, N)
    off, before = x.mean(axis=0) - np.log(true), np.log(exact.kt_1 / true)
    out = {
        "theta": theta.tolist(),
        "ranks": (points < theta).mean(axis=0).tolist(),
        "effective": effective,
        "before": float(before.mean()),
        "after": float(off.mean()),
        "rms_before": float(np.sqrt((before**2).mean())),
        "rms_after": float(np.sqrt((off**2).mean())),
        "spread": float(x.mean(axis=1).std()),
        "seconds": time.process_time() - began,
    }
    if chains:
        began = time.process_time()
        draws = sample(density, seed, STEPS)
        flat = draws.variables.reshape(-1, len(prior.names))
        out["chain_ranks"] = (flat < theta).mean(axis=0).tolist()
        out["passed"] = draws.fault(list(prior.names)) is None
        out["chain_seconds"] = time.process_time() - began
    return out


def share(hits: NDArray[Any], samples: NDArray[Any]) -> tuple[float, str, tuple[float, float]]:
    """Return the share of hits with its 68 % interval, samples drawn again (parameters of one go together)."""
    rng = np.random.default_rng(1)
    each = [hits[rng.integers(0, len(hits), len(hits))].mean() for _ in samples]
    return float(hits.mean()), "", (float(np.quantile(each, 0.16)), float(np.quantile(each, 0.84)))


def told(rows: list[dict[str, Any]], names: tuple[str, ...], law: str) -> dict[str, tuple[Any, ...]]:
    """Return the figures."""
    ranks = np.array([row["ranks"] for row in rows])
    again = np.arange(2000)
    out: dict[str, tuple[Any, ...]] = {"samples": (len(rows), ""), "clusters of each": (CLUSTERS, "")}
    out["effective points of a posterior, median"] = (float(np.median([row["effective"] for row in rows])), "")
    both = [row for row in rows if "chain_ranks" in row]
    if both:
        off = np.abs(np.array([row["chain_ranks"] for row in both]) - np.array([row["ranks"] for row in both]))
        out["posteriors sampled by chains too"] = (len(both), "")
        out["of them pass their gates"] = (sum(row["passed"] for row in both), "")
        out["rank of the truth by chains less by weights, rms; most"] = (
            float(np.sqrt((off**2).mean())),
            f"; {off.max():.3f}",
        )
    for level in RANKS:
        inside = np.abs(ranks - 0.5) <= level / 2
        out[f"coverage of {100 * level:.0f} %, all parameters"] = share(inside, again)
        for i, name in enumerate(names):
            out[f"coverage of {100 * level:.0f} %, {name}"] = share(inside[:, i], again)
    for key, what in (("before", "as they are"), ("after", "corrected")):
        values = 100 * np.array([row[key] for row in rows])
        error = values.std() / np.sqrt(len(values))
        out[f"held out: mean dT/T, {what}"] = (
            float(values.mean()),
            "%",
            (float(values.mean() - error), float(values.mean() + error)),
        )
        out[f"held out: median |mean dT/T| of a sample, {what}"] = (float(np.median(np.abs(values))), "%")
        out[f"held out: rms dT/T, median of samples, {what}"] = (
            100 * float(np.median([row[f"rms_{key}"] for row in rows])),
            "%",
        )
    pulls = np.array([row["after"] / max(row["spread"], 1e-6) for row in rows])
    out["held out: sd of mean dT/T over the posterior's own"] = (float(pulls.std()), "")
    out["CPU of a posterior, median"] = (float(np.median([row["seconds"] for row in rows])), "s")
    return {f"{law}: {key}": value for key, value in out.items()}


def main() -> None:
    """Measure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--grid", type=Path)
    arguments.add_argument("--samples", type=int, default=256)
    given = arguments.parse_args()
    law = open_law("crosscal", given.grid)
    prior = Prior.of(law)
    kind = "grid" if given.grid else "emulator"
    path = Path("out/crosscal") / f"recovery_{kind}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    thetas = prior.cover(1 << int(np.ceil(np.log2(given.samples))), 77)[: given.samples]
    with path.open("a") as file:
        for i in range(len(rows), given.samples):
            try:
                rows.append(one(law, prior, thetas[i], 1000 + i, i % CHAINS == 0))
            except ConfigError as fault:  # hot clusters whose fit leaves the plasma table
                rows.append({"theta": thetas[i].tolist(), "refused": str(fault)})
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
    good = [row for row in rows if "refused" not in row]
    found = told(good, prior.names, kind)
    found[f"{kind}: samples refused: a fit beyond the plasma table"] = (len(rows) - len(good), "")
    kept = {k: v for k, v in figures.read("crosscal_recovery").items() if not k.startswith(f"{kind}: ")}
    figures.write("crosscal_recovery", COMMAND + (" --grid GRID.h5" if given.grid else ""), found, kept)


if __name__ == "__main__":
    main()
