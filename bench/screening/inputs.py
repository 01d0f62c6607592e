"""What the page is made of: models and sets, as they are; a missing one is said with the command that makes it."""

import json
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from models.candidates import Events
from models.checkpoint import state_of
from models.frames.dataset import Frames
from models.screening.evaluate import Models

HITS = {"hits.h5": (600_000, 2), "hits_calibration.h5": (320_000, 1), "hits_test.h5": (1_140_000, 3)}  # aimed, seed
SETS = {  # of `raysieve simulate events`: library, part of it, read-outs, windows of X-rays, seed
    "events_a.h5": ("hits.h5", (0, 0.5), 12_000, 0.12, 2),
    "events_b.h5": ("hits.h5", (0.5, 1), 12_000, 0.12, 2),
    "calibration_events.h5": ("hits_calibration.h5", (0, 1), 43_000, 0.12, 1),
    "test_events.h5": ("hits_test.h5", (0, 1), 49_000, 0.12, 3),
}
SMALL = "--window 32 --photons 2.5 --particles 2.5"  # mostly one X-ray or one part of a particle
FRAMES = {  # of `raysieve simulate frames`: library, what is in them, seed
    "small.h5": ("hits.h5", f"{SMALL} --per-class 120000", 12),
    "small_test.h5": ("hits_calibration.h5", f"{SMALL} --per-class 2500", 11),
    "train.h5": ("hits.h5", "--per-class 15000", 2),
    "test.h5": ("hits_calibration.h5", "--per-class 5000", 1),
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where everything is."""

    folder: Path  # of sets, libraries and checkpoints
    store: Path  # of the exported models

    @property
    def training(self) -> list[Path]:
        """Events that the forests are grown on."""
        return [self.folder / "events_a.h5", self.folder / "events_b.h5"]

    @property
    def calibration(self) -> Path:
        """Events that thresholds are chosen on."""
        return self.folder / "calibration_events.h5"

    @property
    def test(self) -> Path:
        """Events that everything is judged on."""
        return self.folder / "test_events.h5"

    @property
    def frames(self) -> Path:
        """Frames that the classifier is judged on."""
        return self.folder / "test.h5"

    @property
    def models(self) -> Models:
        """The exported models; those that are not there are left out, the forest with the frame classifier."""
        frames, forest, islands = (self.store / f"{name}.onnx" for name in ("frames", "filter", "islands"))
        looks = frames.is_file() and forest.is_file()
        return Models(
            frames if looks else None, forest if looks else None, islands if islands.is_file() or not looks else None
        )

    def weights(self, name: str) -> Path:
        """Return the checkpoint of a model."""
        return self.folder / f"{name}.npz"

    def require(self) -> None:
        """Raise ConfigError naming every file that is missing and the command that makes it."""
        missing = [path for path in self._needed() if not path.is_file()]
        if missing:
            made = "; ".join(f"{path}: {self.command_for(path)}" for path in missing)
            raise ConfigError(f"python -m bench.screening: missing: {made}")

    def _needed(self) -> Iterator[Path]:
        yield from (self.calibration, self.test)
        if self.models.islands:
            yield self.models.islands
        if self.models.frames:
            yield from (*self.training, self.frames, self.weights("frames"))

    def command_for(self, path: Path) -> str:
        """Return the command that makes a file."""
        at = self.folder
        if path.name in SETS:
            hits, part, readouts, windows, seed = SETS[path.name]
            whole = f" --part {part[0]:g} {part[1]:g}" if part != (0, 1) else ""
            options = f"--hits {at / hits}{whole} --readouts {readouts} --windows {windows:g} --seed {seed}"
            return f"raysieve simulate events {path} -c wfi {options}"
        if path.name in HITS:
            aimed, seed = HITS[path.name]
            return f"raysieve simulate hits {path} --geometry close --aimed {aimed} --seed {seed}"
        if path.name in FRAMES:
            hits, content, seed = FRAMES[path.name]
            return f"raysieve simulate frames {path} -c wfi --hits {at / hits} {content} --seed {seed}"
        events = " ".join(str(one) for one in self.training)
        commands = {
            "small.npz": f"raysieve train frames {at}/small.h5 --validation {at}/small_test.h5 --out {path} --epochs 1",
            "frames.npz": f"raysieve train frames {at}/train.h5 --validation {at}/test.h5 --out {path} "
            f"--begin {at}/small.npz --epochs 1 --rate 0.002",
            "filter.npz": f"raysieve train filter {events} --frames {self.store}/frames.onnx --out {path} "
            "--trees 100 --least-leaf 50",
            "islands.npz": f"raysieve train islands {events} -c wfi --validation {self.calibration} --out {path}",
            "frames.onnx": f"raysieve export frames {at}/frames.npz {path} --test {at}/test.h5",
            "filter.onnx": f"raysieve export filter {at}/filter.npz {path} --frames {self.store}/frames.onnx "
            f"--test {self.calibration}",
            "islands.onnx": f"raysieve export islands {at}/islands.npz {path} -c wfi --test {self.calibration}",
        }
        return commands[path.name]


def as_made(path: Path) -> list[str]:
    """Return the commands that made a set, as the set says itself: its library first (none: the shipped one)."""
    return commands_of((Events(path) if path.name in SETS else Frames(path, side=None)).about, path)


def commands_of(about: str, path: Path) -> list[str]:
    """Return the commands that made a set, from what it says of itself."""
    made = json.loads(about)
    is_events = "readouts" in made
    hits = made.get("hits") or ""
    library = made.get("library", {}).get("command", "").replace("OUT", hits) if hits else ""
    first, last = made.get("part", (0, 1))
    words = ["raysieve", "simulate", "events" if is_events else "frames", str(path), "-c", "wfi"]
    words += ["--hits", hits] if hits else []
    words += ["--part", f"{first:g}", f"{last:g}"] if (first, last) != (0, 1) else []
    if not is_events and made.get("window", "64") != "64":
        words += ["--window", made["window"]]
        words += [word for name in ("photons", "particles") for word in (f"--{name}", f"{made[name]:g}")]
    for name in ("readouts", "per_class", "windows", "seed"):
        words += [f"--{name.replace('_', '-')}", f"{made[name]:g}"] if made.get(name) is not None else []
    return [library, shlex.join(words)]


def standing(path: Path) -> dict[str, Any]:
    """Return how far the training of a checkpoint came, with its cost in `seconds`; empty if it is not there."""
    found: dict[str, Any] = state_of(path)["standing"] if path.is_file() else {}
    return found


def card(model: Path | None) -> dict[str, Any]:
    """Return the card beside a model; empty if it is not there."""
    path = model.with_suffix(".toml") if model else None
    return tomllib.loads(path.read_text()) if path and path.is_file() else {}
