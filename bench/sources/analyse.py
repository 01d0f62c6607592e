"""Posteriors by emcee and NUTS: time, agreement with the fit and with each other, coverage -> docs.

python -m bench.sources.analyse DATA [--spectra 30]   0: without coverage. DATA: the folder that holds responses/
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.stats import beta

from analyse.ensemble import sample_ensemble
from analyse.nuts import sample_nuts
from analyse.plots import plot_posterior
from analyse.priors import Priors
from bench import figures
from bench.sources.pulls import scale, simulate
from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.transport.ogip import read_response

COMMAND = "python -m bench.sources.analyse DATA"
TRUTH = {"tbabs.nH": 0.3, "powerlaw.PhoIndex": 1.8, "powerlaw.norm": 1e-3}
COUNTS, FAINT = 15_474, 300
PICTURE = figures.FOLDER.parent / "pictures" / "sources_posterior.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--spectra", type=int, default=30)
    given = parser.parse_args()
    folder = given.data / "responses"
    response = read_response(folder / "acisi_aimpt_cy0.rmf.gz", folder / "acisi_aimpt_cy0.arf.gz")
    table = bright(response)
    figures.write("sources_analyse", COMMAND, table)
    if given.spectra:
        figures.write("sources_analyse", COMMAND, table | coverage(response, given.spectra))


def bright(response):
    """The spectrum of the peers' comparison: absorbed power law, ACIS, 15,474 counts expected."""
    model, seconds = scale(parse_model("tbabs*powerlaw"), TRUTH, response, COUNTS)
    fit = fit_spectrum(parse_model("tbabs*powerlaw"), simulate(model, response, seconds, 1), response)
    priors, table = Priors.of(fit), {"counts": (int(fit.data.counts.sum()), "counts")}
    for name in fit.names:
        value, error = fit[name]
        table[f"fit {name}"] = (value, unit_of(fit, name), (value - error, value + error))
        table[f"fit {name} error"] = (error, unit_of(fit, name))
    for sample in (sample_ensemble, sample_nuts):
        cpu = time.process_time()
        draws = sample(fit, priors, 1)
        key = draws.sampler
        table[f"{key} time"] = (draws.seconds, "s")
        table[f"{key} CPU time"] = (time.process_time() - cpu, "s")
        values = priors.values(draws.variables).reshape(-1, len(priors.names))
        for i, name in enumerate(priors.names):
            unit, (best, error) = unit_of(fit, name), fit[name]
            table[f"{key} {name} mean"] = (
                float(values[:, i].mean()),
                unit,
                tuple(np.quantile(values[:, i], [0.16, 0.84])),
            )
            table[f"{key} {name} sd"] = (float(values[:, i].std()), unit)
            table[f"{key} {name} mean less fit"] = (float((values[:, i].mean() - best) / error), "fit errors")
            table[f"{key} {name} sd over fit error"] = (float(values[:, i].std() / error), "")
        table[f"{key} smallest ESS"] = (float(draws.ess.min()), "draws")
        table[f"{key} largest R-hat"] = (float(draws.rhat.max()), "")
        table[f"{key} divergences"] = (draws.divergences, "draws")
        table[f"{key} gates"] = (draws.fault(priors.names) or "passed", "")
        if key == "emcee":
            table["emcee autocorrelation"] = (draws.about["autocorrelation_steps"], "steps")
            plot_posterior(PICTURE, priors, draws, fit)
    return table


def coverage(response, spectra):
    """How often central intervals of emcee's posterior hold the truth, at few counts."""
    model, seconds = scale(parse_model("tbabs*powerlaw"), TRUTH, response, FAINT)
    held, failed = [], 0
    for seed in range(spectra):
        fit = fit_spectrum(parse_model("tbabs*powerlaw"), simulate(model, response, seconds, 100 + seed), response)
        priors = Priors.of(fit)
        draws = sample_ensemble(fit, priors, seed)
        if draws.fault(priors.names):
            failed += 1
            continue
        values = priors.values(draws.variables).reshape(-1, len(priors.names))
        truth = np.array([TRUTH[name] for name in priors.names])
        rank = (values < truth).mean(axis=0)
        held.append([np.abs(rank - 0.5) < level / 2 for level in (0.68, 0.90)])
    inside = np.array(held)  # (spectra, level, k)
    table = {f"{FAINT} counts: spectra": (spectra, ""), f"{FAINT} counts: gates failed": (failed, "spectra")}
    for level, percent in enumerate((68, 90)):
        for i, name in enumerate(TRUTH):
            hits, n = int(inside[:, level, i].sum()), len(inside)
            ends = (
                beta.ppf(0.1587, hits, n - hits + 1) if hits else 0.0,
                beta.ppf(0.8413, hits + 1, n - hits) if hits < n else 1.0,
            )
            table[f"{FAINT} counts: {name} in {percent} %"] = (hits / n, "", tuple(float(e) for e in ends))
    return table


def unit_of(fit, name):
    return fit.model.parameters[fit.names.index(name)].unit


if __name__ == "__main__":
    main()
