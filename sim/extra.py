"""Packages of the `sim` extra, imported when they are needed."""

import importlib
from typing import Any

from config.errors import ConfigError
from config.extra import installed_by


def import_xraylib() -> Any:
    """Return xraylib. Raises ConfigError that says how to install it."""
    return _import("xraylib")


def import_geant4() -> Any:
    """Return geant4_pybind. Its environment must be set before (`sim.geant4.data_files.variables`)."""
    return _import("geant4_pybind")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{name} cannot be imported ({error}): expected the sim extra, {installed_by('sim')}"
        ) from None
