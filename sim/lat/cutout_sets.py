"""Sets of cut-outs on disk: several simulated skies, all of their sources that the filter sees, and fakes."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.lat.cutouts import CUTOUT, cutouts_of
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.exposure import survey
from stream.lat.psf import profiles_of
from stream.transport.hdf5 import filters
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import instrument_of

KIND = "lat cutouts"


@dataclass(frozen=True, slots=True)
class Setting:
    """What the skies of a set are made with; without files: our own stand-ins."""

    skies: int
    fakes: int = 600  # of each sky
    irfs: str = ""
    iem: str = ""
    iso: str = ""
    seed: int = 0


def write_set(path: Path, setting: Setting) -> Iterator[int]:
    """Write a set; yield how many skies are done. The file has its name only when it is whole."""
    instrument = instrument_of(setting.irfs)
    exposure, scatter = survey(instrument, 10.0), Scatter(instrument)
    model = read_diffuse(*(Path(name) if name else None for name in (setting.iem, setting.iso)))
    profiles = profiles_of(instrument)
    partial = path.with_name(f".{path.name}.partial")
    with h5py.File(partial, "w") as file:
        file.attrs["kind"] = KIND
        file.attrs["about"] = str({**asdict(setting), "responses": instrument.about, "diffuse": model.about})
        for sky in range(setting.skies):
            rng = np.random.default_rng((setting.seed, sky))
            truth = Truth.drawn(model, exposure, rng)
            rows = cutouts_of(truth, scatter, profiles, rng, setting.fakes)
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
