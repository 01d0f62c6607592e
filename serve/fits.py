"""The fit of an uploaded spectrum: runs in a worker."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from config.errors import ConfigError
from serve.texts import named, number
from stream.spectra.fit import Fit, fit_spectrum
from stream.spectra.flux import Flux
from stream.spectra.model import parse_model
from stream.transport.ogip import read_observation

FIELDS: Final = {  # XSPEC's name of a parameter: as a field, with its unit
    "nH": "nh_1e22_cm2",
    "PhoIndex": "photon_index",
    "kT": "kt_kev",
    "LineE": "line_energy_kev",
    "Sigma": "sigma_kev",
    "norm": "norm",
}

SAMPLERS: Final = {  # by method: imported when asked for, they are of the `analyse` extra
    "emcee": ("analyse.ensemble", "sample_ensemble"),
    "nuts": ("analyse.nuts", "sample_nuts"),
}


def fit(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the fit of the files spectrum, rmf and, if they are there, background and arf.

    Files that a header names are not opened. Raises ConfigError for files or settings that do not fit.
    """
    return _fitted(folder, settings)[1]


def sample(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the fit with the posterior of its parameters. Raises ConfigError also for one that fails its gates."""
    source, priors_of = (import_module(f"analyse.{name}") for name in ("source", "priors"))
    found, result = _fitted(folder, settings)
    if not found.data.counts.sum() > 0:
        raise ConfigError("spectrum: no counts within the band: nothing to sample")
    priors, seed = priors_of.Priors.of(found), settings["seed"]
    module, name = SAMPLERS[settings["method"]]
    draws = getattr(import_module(module), name)(found, priors, seed, None)
    posterior = source.describe_posterior(priors, draws, seed)
    if not posterior["passed"]:
        raise ConfigError(f"the posterior fails its gates: {posterior['fault']}")
    return result | {"kind": "sample", "posterior": posterior}


def _fitted(folder: Path, settings: dict[str, Any]) -> tuple[Fit, dict[str, Any]]:
    spectrum_at, rmf, arf, background = (folder / f"{name}.fits" for name in ("spectrum", "rmf", "arf", "background"))
    spectrum, response = read_observation(
        spectrum_at, rmf, arf if arf.exists() else None, background if background.exists() else None, follow=False
    )
    band = (settings["band_kev_low"], settings["band_kev_high"])
    model = parse_model(settings["model"])
    found = fit_spectrum(model, spectrum, response, band_kev=band, statistic=settings["statistic"])
    return found, {
        "kind": "fit",
        "model": model.text,
        "band_kev_low": band[0],
        "band_kev_high": band[1],
        "exposure_s": spectrum.exposure_s,
        **named(spectrum.about),
        **statistic_of(found),
        "parameters": parameters_of(found),
        **fluxes_of(found, band),
        "flags": flags_of(found, arf.exists()),
    }


def statistic_of(found: Fit) -> dict[str, Any]:
    """Return how good the fit is."""
    return {
        "statistic": found.statistic,
        "statistic_value": number(found.value),
        "statistic_expected": number(found.expected),
        "statistic_expected_sd": number(found.expected_sd),
        "chi2_dof": number(found.chi2_dof),
        "bins": found.bins,
        "dof": found.dof,
        "counts": number(found.data.counts.sum()),
        "source_counts": number(found.source_counts.sum()),
        "converged": bool(found.converged),
    }


def parameters_of(found: Fit) -> dict[str, dict[str, Any]]:
    """Return the parameters; the name of a field is COMPONENT_NAME_UNIT. Error None: frozen, or at a bound."""
    out = {}
    rows = zip(found.model.parameters, found.values, found.errors, found.at_bound, strict=True)
    for parameter, value, error, at_bound in rows:
        component, _, name = parameter.name.rpartition(".")
        out[f"{component}_{FIELDS.get(name, name.lower())}"] = {
            "xspec": parameter.name,
            "unit": parameter.unit,
            "value": number(value),
            "error": None if parameter.frozen else number(error),
            "frozen": parameter.frozen,
            "at_bound": bool(at_bound),
        }
    return out


def fluxes_of(found: Fit, band: tuple[float, float]) -> dict[str, float | None]:
    """Return the fluxes in the band, as they arrive and before absorption, with 1 sigma errors."""
    out: dict[str, float | None] = {}
    for before, flux in (("", found.flux(*band)), ("unabsorbed_", found.flux(*band, absorbed=False))):
        out |= _flux(before, flux)
    return out


def _flux(before: str, flux: Flux) -> dict[str, float | None]:
    return {
        f"{before}flux_erg_cm2_s": number(flux.erg),
        f"{before}flux_error_erg_cm2_s": number(flux.erg_error),
        f"{before}flux_photons_cm2_s": number(flux.photons),
        f"{before}flux_error_photons_cm2_s": number(flux.photons_error),
    }


def flags_of(found: Fit, with_arf: bool) -> list[str]:
    """Return what is doubtful."""
    flags = list(found.data.flags)
    flags += [f"{name} is at a bound" for name, bound in zip(found.names, found.at_bound, strict=True) if bound]
    if not found.converged:
        flags.append("did not converge")
    if not with_arf:
        flags.append("no ARF: the area is that of the RMF")
    return flags
