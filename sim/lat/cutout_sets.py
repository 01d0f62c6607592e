"""Sets of cut-outs on disk: several simulated skies, all of their sources that the filter sees, and fakes."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.lat.cutouts import CUTOUT, count, cutouts_of
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.cutouts import YEARS, by_band
from stream.lat.exposure import survey
from stream.lat.psf import profiles_of
from stream.lat.sky import expect
from stream.lat.smear import smearing
from stream.transport.fitsfile import disk_faults
from stream.transport.hdf5 import filters
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import instrument_of

KIND = "lat cutouts"
FEWEST: Final = 2  # years: one alone has no light curve


@dataclass(frozen=True, slots=True)
class Setting:
    """What the skies of a set are made with; without files: our own stand-ins."""

    skies: int
    fakes: int = 600  # of each sky
    irfs: str = ""
    iem: str = ""
    iso: str = ""
    years: int = YEARS  # of each sky; 0: every second one has YEARS, the others fewer
    seed: int = 0


def write_set(path: Path, setting: Setting) -> Iterator[int]:
    """Write a set; yield how many skies are done. The file has its name only when it is whole."""
    instrument = instrument_of(setting.irfs)
    scatter, profiles = Scatter(instrument), profiles_of(instrument)
    model = read_diffuse(*(Path(name) if name else None for name in (setting.iem, setting.iso)))
    smear = smearing(model, profiles)
    partial = path.with_name(f".{path.name}.partial")
    with disk_faults(path), h5py.File(partial, "w") as file:
        file.attrs["kind"] = KIND
        told = {key: value for key, value in asdict(setting).items() if key not in ("irfs", "iem", "iso")}
        file.attrs["about"] = str({**told, "responses": instrument.about, "diffuse": model.about})
        for sky in range(setting.skies):
            rng = np.random.default_rng((setting.seed, sky))
            years = setting.years or (YEARS if sky % 2 == 0 else int(rng.integers(FEWEST, YEARS)))
            exposure = survey(instrument, float(years))
            truth = Truth.drawn(model, exposure, rng, smear=smear)
            given = by_band(expect(model, exposure, smear))
            rows = cutouts_of(truth, count(truth, scatter, years, rng), given, profiles, rng, setting.fakes)
            file.create_dataset(f"sky{sky:04d}", data=rows, chunks=(min(256, len(rows)),), **filters())
            yield sky + 1
    partial.replace(path)


def read_set(path: Path) -> tuple[NDArray[Any], NDArray[np.int64], str]:
    """Return CUTOUT rows (n,), the sky (n,) of each, and what they were made of. Raises ConfigError for other files."""
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != KIND:
                raise ConfigError(f"{path}: expected a set of `raysieve simulate lat-cutouts`")
            parts = [file[name][()] for name in sorted(file)]
            about = str(file.attrs["about"])
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(fault).split())[:100]})") from None
    sky = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return np.concatenate([np.zeros(0, CUTOUT), *parts]), sky, about
