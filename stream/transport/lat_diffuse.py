"""Reads the diffuse models of the LAT: the interstellar cube (FITS, plate carree) and the isotropic tables."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.lat.exposure import ENERGY_MEV
from stream.lat.sky import Diffuse, stand_in
from stream.transport.fitsfile import open_fits

NAMES = ("FRONT", "BACK")
GRID = ("CRVAL", "CRPIX", "CDELT")
FAULT_DEG = 0.25  # of a latitude grid that is not even about the plane: half a pixel of the files that are known


def read_diffuse(iem: Path | None, iso: Path | None) -> Diffuse:
    """Return the diffuse sky of an interstellar cube and a folder of iso_*_FRONT_*.txt and iso_*_BACK_*.txt.

    What is not given is the stand-in's. Raises ConfigError for files that are not these, and for a cube whose grid of
    latitudes lies askew: a widespread low-resolution v07 does by 0.69 degrees.
    """
    ours = stand_in()
    isotropic = read_isotropic(iso) if iso else ours.isotropic
    if iem is None:
        return Diffuse(ours.energy_mev, ours.planes, ours.first_deg, ours.step_deg, isotropic, ours.about)
    header, cube, energy = _read_cube(iem)
    lat, lon = (_first(header, axis) for axis in (2, 1))
    step = float(header["CDELT2"]), float(header["CDELT1"])
    last = lat + step[0] * (cube.shape[1] - 1)
    if abs(lat + last) / 2 > FAULT_DEG:
        raise ConfigError(f"{iem}: latitudes from {lat:.4f} to {last:.4f}, not even about 0: CRPIX2 is off")
    if len(energy) != len(cube) or not np.all(np.diff(energy) > 0):
        raise ConfigError(f"{iem}: ENERGIES: expected {len(cube)} rising ones, found {len(energy)}")
    return Diffuse(energy, np.log(np.maximum(cube, 1e-40)), (lat, lon), step, isotropic, iem.name)


def _read_cube(path: Path) -> tuple[fits.Header, NDArray[np.float64], NDArray[np.float64]]:
    """Return the header, the intensities and their energies, MeV. Raises ConfigError for another file."""
    with open_fits(path, memmap=True) as file:
        header, data = file[0].header, file[0].data
        axes = [str(header.get(f"CTYPE{axis}", "nothing")) for axis in (1, 2)]
        if data is None or data.ndim != 3 or [name[:8] for name in axes] != ["GLON-CAR", "GLAT-CAR"]:
            raise ConfigError(f"{path}: expected a cube of energies on GLON-CAR, GLAT-CAR, found {', '.join(axes)}")
        if missing := [f"{key}{axis}" for axis in (1, 2) for key in GRID if f"{key}{axis}" not in header]:
            raise ConfigError(f"{path}: expected the grid in the header, found no {', '.join(missing)}")
        if "ENERGIES" not in file:
            raise ConfigError(f"{path}: no table ENERGIES")
        unit = file["ENERGIES"].columns[0].unit or "MeV"
        if unit != "MeV":
            raise ConfigError(f"{path}: ENERGIES: expected MeV, found {unit}")
        return header, np.asarray(data, float), np.asarray(file["ENERGIES"].data.field(0), float)


def _first(header: fits.Header, axis: int) -> float:
    return float(header[f"CRVAL{axis}"] + (1 - header[f"CRPIX{axis}"]) * header[f"CDELT{axis}"])


def read_isotropic(folder: Path) -> NDArray[np.float64]:
    """Return intensities (TYPES, BANDS, NODES), photons cm-2 s-1 sr-1 MeV-1. Raises ConfigError without the files."""
    out = []
    for name in NAMES:
        found = sorted(folder.glob(f"iso_*_{name}_*.txt"))
        if len(found) != 1:
            raise ConfigError(f"{folder}: expected one iso_*_{name}_*.txt, found {len(found)}")
        try:
            table = np.loadtxt(found[0])
            energy, intensity = table[:, 0], table[:, 1]
        except (ValueError, IndexError) as fault:
            raise ConfigError(f"{found[0]}: expected columns energy in MeV and intensity ({fault})") from None
        if not (np.all(np.diff(energy) > 0) and np.all(energy > 0) and np.all(intensity > 0)):
            raise ConfigError(f"{found[0]}: expected rising energies in MeV and intensities above 0")
        out.append(np.exp(np.interp(np.log(ENERGY_MEV), np.log(energy), np.log(intensity))))
    return np.stack(out)
