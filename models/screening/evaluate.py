"""`raysieve evaluate filter` and `islands`: scores of a calibration and a test set, and all that follows from them."""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError
from config.schema import Config
from models.candidates import Events
from models.filter.features import Network, features_of
from models.metrics import Interval
from models.screening import plots, scores
from models.screening.judge import tallies
from models.screening.report import LOST, OWN, TRADITIONAL, WINDOWS, Scored, bound, decide, points, report
from stream.transport.pictures import folder_of_pictures

Tell = Callable[[str, int, int], object]  # what, done, all
SHIPPED = (scores.FOREST, scores.ISLANDS)


@dataclass(frozen=True, slots=True)
class Models:
    """Where the models are; what is None is left out."""

    frames: Path | None = None
    forest: Path | None = None
    islands: Path | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Both sets with their scores, and the figures: percent, by "score, point: metric"."""

    calibration: Scored
    test: Scored
    figures: dict[str, Interval]
    lost: float


def evaluate(
    models: Models,
    config: Config,
    calibration: Path,
    test: Path,
    training: Sequence[Path] = (),
    lost: float = LOST,
    tell: Tell = lambda what, done, of: None,
) -> Result:
    """Judge models on the test set, with thresholds of the calibration set; training sets: for the ablations.

    With a frame classifier all scores are of the candidates with windows, else of all.
    Raises ConfigError for files that are no such models or sets, or share primaries.
    """
    sets, given = [Events(path) for path in (calibration, test)], [Events(path) for path in training]
    for pair in ((sets[0], sets[1]), *((learned, each) for learned in given for each in sets)):
        _apart(*pair)
    known = [scores.islands(models.islands, config)(events) for events in sets] if models.islands else []
    if models.frames is None:
        one, other = known
    else:
        network = Network(models.frames)
        _belongs(models.forest, models.frames, network)
        seen = [_see(events, network, tell) for events in sets]
        of = {scores.FOREST: scores.forest(models.forest)} if models.forest else {}
        if given:
            taught = [_see(events, network, tell) for events in given]
            of |= scores.without_maps(taught) | scores.without_forest(taught)
        one, other = (_scored(each, of, known[k] if known else None) for k, each in enumerate(seen))
    return Result(one, other, report(one, other, lost), lost)


def _see(events: Events, network: Network, tell: Tell) -> scores.Seen:
    return scores.Seen(events, features_of(events, network, lambda done, of: tell(events.path.name, done, of)))


def _scored(seen: scores.Seen, of: dict[str, scores.Score], islands: Scored | None) -> Scored:
    found = {name: score(seen) for name, score in of.items()}
    if islands is not None:
        found[scores.ISLANDS] = scores.of_islands(islands, seen.found)
    return Scored(seen.found, found | scores.bounds(seen.found, found))


def _belongs(forest: Path | None, frames: Path, network: Network) -> None:
    """Raise ConfigError if the card of a forest says that it was grown on what another network says."""
    card = forest.with_suffix(".toml") if forest else None
    known = tomllib.loads(card.read_text()).get("frames_sha256", network.digest) if card and card.is_file() else ""
    if known and known != network.digest:
        raise ConfigError(
            f"{forest}: grown behind network {known[:12]}; expected {network.digest[:12]}, that of {frames}"
        )


def _apart(first: Events, second: Events) -> None:
    """Raise ConfigError if two sets are of the same part of a library."""
    one, other = (json.loads(events.about) for events in (first, second))
    same = one.get("library") and one["library"] == other.get("library")
    parts = [each.get("part", [0.0, 1.0]) for each in (one, other)]
    if same and max(part[0] for part in parts) < min(part[1] for part in parts):
        raise ConfigError(f"{first.path}, {second.path}: expected events of different primaries, got the same")


def draw(result: Result, folder: Path) -> list[Path]:
    """Write the pictures to a folder, made if need be; return their paths.

    Raises ConfigError for a folder that cannot be made, LinkError if the disk refuses a picture.
    """
    folder_of_pictures(folder)
    main = points(result.lost)[0]
    chosen = [name for name in SHIPPED if name in result.test.scores]
    decisions = {
        name: rejected
        for name, rejected in decide(result.calibration, result.test, main)
        if name in (TRADITIONAL, *chosen) and not name.endswith(OWN)
    }
    tallied = tallies(result.test.found, decisions)
    curves = sorted(result.test.scores, key=lambda name: name not in chosen)
    curves = [name for name in curves if name not in map(bound, WINDOWS)]
    return [
        plots.draw_roc(folder / "screening_roc.png", result.test, curves, result.figures),
        plots.draw_background(folder / "screening_background.png", tallied),
        plots.draw_lost(folder / "screening_lost.png", tallied),
        plots.draw_scores(folder / "screening_scores.png", result.figures, list(result.test.scores), main.name),
    ]
