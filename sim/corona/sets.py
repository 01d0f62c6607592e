"""Sets of simulated coronal spectra in HDF5: counts, what was expected, the truth. Splits are by star."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.corona.truth import SEEN, TRUTH, Setting, Truth, area_factor, draw, line_sigma
from stream.corona.forward import Coronae, Forward
from stream.corona.instrument import Instrument
from stream.spectra.grid import Floats
from stream.transport.fitsfile import disk_faults
from stream.transport.hdf5 import FAULTS, filters

KIND: Final = "corona"
BLOCK: Final = 250  # stars drawn at once, by a generator of their own: a longer set begins as a shorter one does
SPLITS: Final = ("train", "validation", "test")  # 8, 1 and 1 of ten stars in turn
SETUP: Final = ("edges_a", "area_cm2", "fwhm_a")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some spectra with their truth."""

    truth: Truth
    expected: Floats  # (S, B) counts
    counts: NDArray[np.int64]  # (S, B)
    sigma: Floats  # (S, L) by which each line stands out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file holds of each spectrum."""
        coronae = self.truth.coronae
        return {
            "counts": np.minimum(self.counts, 65535).astype(np.uint16),
            "expected": np.minimum(self.expected, 65504).astype(np.float16),
            "truth": self.truth.rows,
            "split": split_of(self.truth.rows["star"]),
            "node_log_t": coronae.log_t.astype(np.float32),
            "node_norm": coronae.norm.astype(np.float32),
            "abundance": coronae.abundance.astype(np.float32),
            "area_knots": self.truth.knots.astype(np.float32),
            "line_factor": coronae.line_factor.astype(np.float16),
            "line_sigma": self.sigma.astype(np.float16),
        }


def split_of(star: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return the split of each star, 0 to 2 as in SPLITS: the spectra of one star are never in two."""
    last = star % 10
    return np.where(last < 8, 0, last - 7).astype(np.uint8)


def blocks(model: Forward, setting: Setting, spectra: int, seed: int) -> Iterator[Block]:
    """Yield so many spectra, in blocks of BLOCK stars. Same seed, same spectra."""
    done, number = 0, 0
    while done < spectra:
        rng = np.random.default_rng((seed, number))
        truth = draw(model, setting, BLOCK, rng, first=number * BLOCK)
        expected = model.counts(truth.coronae, truth.line_photons)
        counts = rng.poisson(expected)
        keep = np.arange(min(len(counts), spectra - done))
        truth, expected, counts = truth.take(keep), expected[keep], counts[keep]
        yield Block(truth, expected, counts, line_sigma(model, truth, expected))
        done, number = done + len(keep), number + 1


def write_set(path: Path, model: Forward, setting: Setting, spectra: int, seed: int) -> Iterator[int]:
    """Write a set; yield how many spectra are done. The file has its name only when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    with disk_faults(path), h5py.File(partial, "w") as file:
        file.attrs["kind"] = KIND
        file.attrs["about"] = json.dumps({**asdict(setting), "spectra": spectra, "seed": seed, "seen_sigma": SEEN})
        file.attrs["instrument"] = model.instrument.name
        file.attrs["elements"] = json.dumps(model.elements)
        for name in SETUP:
            file[f"instrument/{name}"] = getattr(model.instrument, name)
        file["lines/ion"] = model.lines.ion.astype("S")
        file["lines/wavelength_a"] = model.lines.wavelength_a
        done = 0
        for block in blocks(model, setting, spectra, seed):
            for name, rows in block.arrays().items():
                if name not in file:
                    shape = (spectra, *rows.shape[1:])
                    chunk = (min(128, spectra), *rows.shape[1:])
                    file.create_dataset(name, shape, rows.dtype, chunks=chunk, **filters())
                file[name][done : done + len(rows)] = rows
            done += len(block.counts)
            yield done
    partial.replace(path)


@dataclass(frozen=True, slots=True, eq=False)
class CoronaSet:
    """A set in memory, or one split of it. S spectra."""

    instrument: Instrument
    ion: NDArray[np.str_]  # (L,)
    wavelength_a: Floats  # (L,)
    arrays: dict[str, NDArray[Any]]  # as `Block.arrays`, (S, ...) each
    about: dict[str, Any]

    @property
    def counts(self) -> NDArray[np.uint16]:
        """(S, B)."""
        return self.arrays["counts"]

    @property
    def truth(self) -> NDArray[np.void]:
        """(S,) TRUTH."""
        return self.arrays["truth"]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Whether each line stands out by 3 sigma of what is expected, (S, L)."""
        return self.arrays["line_sigma"] >= SEEN

    def coronae(self, model: Forward) -> Coronae:
        """Return what the spectra were made of. model: that of the set's instrument and lines."""
        rows = self.truth
        names = ("shift_kms", "sigma_kms", "background", "exposure_s")
        rest = {name: rows[name].astype(float) for name in names}
        rest["abundance"], rest["line_factor"] = self.arrays["abundance"], self.arrays["line_factor"]
        rest["area_factor"] = area_factor(model, self.arrays["area_knots"].astype(float))
        return Coronae.of(model, self.arrays["node_log_t"], self.arrays["node_norm"], rows["log_n"], **rest)


def read_set(path: Path | str, split: str | None = None) -> CoronaSet:
    """Return a set, or one of its SPLITS. Raises ConfigError for another file."""
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != KIND or file["truth"].dtype != TRUTH:
                raise ConfigError(f"{path}: expected a set of `raysieve simulate corona`")
            setup = [file[f"instrument/{name}"][:] for name in SETUP]
            instrument = Instrument.of(str(file.attrs["instrument"]), *setup)
            which = file["split"][:]
            rows = slice(None) if split is None else np.flatnonzero(which == SPLITS.index(split))
            arrays = {name: data[:][rows] for name, data in file.items() if isinstance(data, h5py.Dataset)}
            about = json.loads(file.attrs["about"])
            ion, wavelength = file["lines/ion"][:].astype(str), file["lines/wavelength_a"][:]
    except FAULTS as fault:
        raise ConfigError(f"{path}: expected a set of `raysieve simulate corona` ({fault})") from None
    return CoronaSet(instrument, ion, wavelength, arrays, about)
