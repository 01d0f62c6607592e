"""The events that screening is to judge: those of a set that lie in the band and were made by one kind alone."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from config.schema import Screen
from sim.charge import PARTICLE, XRAY
from sim.event_file import read_events
from stream.stages.screen import NEVER
from stream.transport.hdf5 import read_text

BAND_EV = (Screen().energy_min_ev, Screen().energy_max_ev)


@dataclass(frozen=True, slots=True)
class Candidates:
    """One row for each candidate."""

    row: NDArray[np.int64]  # its place in the set's events
    energy_ev: NDArray[np.float32]
    particle: NDArray[np.bool_]  # made by a particle; else by an X-ray
    group: NDArray[np.int64]  # events that are not independent: a primary's place in the library, -1 - read-out
    weight: NDArray[np.float64]  # how many such events it stands for
    kept: NDArray[np.bool_]  # by the traditional filter
    company: NDArray[np.uint8]  # bits of sim.event_sets: where else its primary left a signal; 0 for X-rays

    def __len__(self) -> int:
        """Return the number of candidates."""
        return int(self.row.size)

    def pick(self, which: NDArray[np.bool_]) -> "Candidates":
        """Return those of a mask."""
        return Candidates(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


class Events:
    """An event set (`raysieve simulate events`) opened for reading."""

    def __init__(self, path: Path | str) -> None:
        """Raises ConfigError for a file that is no such set."""
        self.path = Path(path)
        self.file: h5py.File = read_events(path)
        self.about = read_text(self.file, "about")  # what the set was made of
        self.readouts = int(self.file.attrs["readouts"])
        self.events = self.file["events"][()]
        self.truth = self.file["truth"][()]

    def candidates(self, *, with_windows: bool = False) -> Candidates:
        """Return the candidates; with_windows: only those whose window is kept, X-rays weighted by the share.

        Raises ConfigError if there are no particles or no X-rays among them.
        """
        energy, kind = self.events["energy_ev"], self.truth["kind"]
        chosen = (energy >= BAND_EV[0]) & (energy < BAND_EV[1]) & np.isin(kind, (XRAY, PARTICLE))
        chosen &= (self.events["reason"] & NEVER) == 0
        share = 1.0
        if with_windows:
            share = json.loads(self.about).get("windows") or 0.0
            chosen &= self.truth["window"] >= 0
        row = np.flatnonzero(chosen)
        particle = kind[row] == PARTICLE
        if particle.all() or not particle.any():
            what = "candidates with windows" if with_windows else "candidates"
            raise ConfigError(f"event set {self.path}: expected {what} of both kinds, X-rays and particles")
        group = np.where(particle, self.truth["owner"][row], -1 - self.events["frame"][row])
        weight = np.where(particle, 1.0, 1.0 / share if share else 1.0)
        kept = self.events["reason"][row] == 0
        return Candidates(row, energy[row], particle, group, weight, kept, self.truth["company"][row])
