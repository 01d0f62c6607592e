"""Files of coronal spectra as products "spectra": sets of `raysieve simulate corona` whole, others one by one."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from stream.corona.instrument import Instrument
from stream.corona.observed import Observed
from stream.errors import ConfigError
from stream.messages import Product
from stream.transport.corona_spectra import read_corona
from stream.transport.hdf5 import FAULTS

NAME_BYTES = 32


def read_spectra(path: Path, number: int, folder: str, offset_a: float = 0.0) -> Product:
    """Return the spectra of a file as the product of this number; folder: where what is said of them will lie.

    SPECTRA (NAME, EXPOSURE in s, COUNTS by bin), GRID (EDGES, Angstrom, less the offset; AREA, cm2, and FWHM of a line,
    Angstrom, by bin). Raises ConfigError, in one line, for any other file, for a spectrum without counts, and for one
    by channel: a camera's, or a grating's by its RMF.
    """
    if path.suffix.lower() in (".h5", ".hdf5"):
        instrument, counts, exposure = _whole_set(path)
        names = [f"{path.name}{{{row}}}" for row in range(len(counts))]
    else:
        found = read_corona(path)
        if not isinstance(found, Observed) or found.instrument.response is not None:
            raise ConfigError(f"{path}: expected counts by bins of wavelength")
        instrument, counts, exposure = found.instrument, found.counts[None], np.array([found.exposure_s])
        names = [path.name]
    bins = counts.shape[1]
    kinds = [("NAME", f"S{NAME_BYTES}"), ("EXPOSURE", "<f8"), ("COUNTS", "<f4", (bins,))]
    spectra = np.empty(len(counts), kinds)
    spectra["NAME"] = np.array([name.encode("ascii", "replace")[-NAME_BYTES:] for name in names])
    spectra["EXPOSURE"], spectra["COUNTS"] = exposure, counts
    grid = np.empty(1, [("EDGES", "<f8", (bins + 1,)), ("AREA", "<f8", (bins,)), ("FWHM", "<f8", (bins,))])
    grid["EDGES"] = instrument.edges_a - offset_a
    grid["AREA"], grid["FWHM"] = instrument.area_cm2, instrument.fwhm_a
    header: dict[str, Any] = {"FOLDER": folder, "OBJECT": path.name[:60]}
    tables = {"SPECTRA": spectra, "GRID": grid}
    return Product(stream=path.name, kind="spectra", sequence=number, time_ns=0, header=header, tables=tables)


def _whole_set(path: Path) -> tuple[Instrument, NDArray[Any], NDArray[Any]]:
    """Return the instrument, counts (S, B) and exposures (S,)."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != "corona":
                raise ConfigError(f"{path}: expected a set of `raysieve simulate corona`")
            setup = [file[f"instrument/{name}"][:] for name in ("edges_a", "area_cm2", "fwhm_a")]
            instrument = Instrument.of(str(file.attrs["instrument"]), *setup)
            return instrument, file["counts"][:], file["truth"][:]["exposure_s"].astype(float)
    except FAULTS as fault:
        raise ConfigError(f"{path}: expected a set of `raysieve simulate corona` ({fault})") from None
