"""`raysieve inspect` says what a file of the simulator is and what it was made of."""

import json

import pytest
from click.testing import CliRunner

from raysieve import cli
from sim.hit_library import HitLibrary, shipped
from stream.transport.recording import RecordingWriter
from tests.stream.stages.streams import START, frame


def said(*words):
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


def test_a_hit_library():
    shown = said("inspect", shipped())
    with HitLibrary(shipped()) as library:
        made = library.production
        assert f"primaries: {len(library)}\n" in shown
    assert "hits 1\n" in shown
    assert f"  geometry: {made.geometry}\n" in shown
    assert f"  seed: {made.seed}\n" in shown
    assert made.geometry_toml not in shown


def test_a_frame_set(tmp_path):
    said("simulate", "frames", tmp_path / "set.h5", "--config", "wfi", "--per-class", 2, "--seed", 5)
    shown = said("inspect", tmp_path / "set.h5")
    assert "set.h5: frame set\n" in shown
    assert "  frames: 8 x 1 x 64 x 64\n" in shown
    assert "  seed: 5\n" in shown


@pytest.mark.parametrize("about", ["", json.dumps({"photons": 2.0})])
def test_a_recording_says_what_it_was_made_of(about, tmp_path):
    with RecordingWriter(tmp_path / "r.h5", START, about=about) as writer:
        writer.write(frame(0, 0))
    shown = said("inspect", tmp_path / "r.h5")
    assert (f"  made of: {about}\n" in shown) == bool(about)
    assert ("made of" in shown) == bool(about)


def test_a_model_that_is_none_is_refused_before_the_table():
    done = CliRunner().invoke(cli, ["explain", "wfi", "--set", "screen.model=nomodel"])
    assert "nomodel: no such model" in str(done.exception)
    assert done.output == ""
