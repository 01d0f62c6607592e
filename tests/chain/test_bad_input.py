"""Wrong input at the command line: one clear line that names it, exit 1, and nothing good lost."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from raysieve import cli
from stream.errors import RaysieveError
from stream.messages import Quality
from stream.transport.recording import Recording, RecordingWriter
from tests.chain.daemon import camera, raysieve, tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bad")
    camera(20, made)
    (made / "text.h5").write_text("no recording")
    (made / "cut.h5").write_bytes((made / "sky.h5").read_bytes()[:50_000])
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(made / "image.fits")
    return made


def refused(*arguments):
    """Return the line that a command is refused with."""
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    assert isinstance(done.exception, RaysieveError), done.output
    return str(done.exception)


@pytest.mark.parametrize("name", ["text.h5", "cut.h5", "image.fits", "missing.h5"])
def test_what_is_no_recording_is_named(folder, name, tmp_path):
    said = refused("process", folder / name, "-c", "quick", "--out", tmp_path)
    assert name in said
    assert "expected" in said
    assert "\n" not in said


@pytest.mark.parametrize("kind", ["acis", "suzaku", "wfi-pixels"])
@pytest.mark.parametrize("name", ["image.fits", "text.h5", "missing.h5"])
def test_what_is_no_event_list_is_named(folder, kind, name, tmp_path):
    assert name in refused("convert", kind, folder / name, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_frames_without_maps_are_refused(folder, tmp_path):
    assert "no offset map" in refused("process", folder / "sky.h5", "-c", "quick", "--out", tmp_path)


def test_all_faults_of_a_configuration_are_named(folder, tmp_path):
    settings = ["reconstruct.event_threshold_ev=-3", "correct.foo=1", "links.transport=udp"]
    words = [word for setting in settings for word in ("--set", setting)]
    said = refused("process", folder / "sky.h5", "-c", "quick", "--out", tmp_path, *words)
    assert all(key in said for key in ("event_threshold_ev", "correct.foo", "links.transport"))


def test_an_event_list_is_not_overwritten_unasked(folder, tmp_path):
    command = ["process", folder / "sky.h5", "-c", "quick", "--maps", folder / "maps.h5", "--out", tmp_path]
    assert raysieve(*command).returncode == 0
    before = (tmp_path / "events.fits").read_bytes()
    done = raysieve(*command)
    assert done.returncode == 1
    assert done.stderr.startswith("raysieve: ") or "\nraysieve: " in done.stderr
    assert (tmp_path / "events.fits").read_bytes() == before
    assert raysieve(*command, "--overwrite").returncode == 0


def test_a_folder_that_cannot_be_written(folder):
    command = ["process", folder / "sky.h5", "-c", "quick", "--maps", folder / "maps.h5"]
    assert "cannot be written" in refused(*command, "--out", folder / "text.h5" / "below")


def test_a_replay_without_a_reader_gives_up(folder, tmp_path):
    done = raysieve(
        "replay", folder / "sky.h5", "--to", f"ipc://{tmp_path}/none.sock", "--rate", "max", "--wait", "0.5"
    )
    assert done.returncode == 1
    assert "no reader took a message" in done.stderr


def broken(folder, out, change):
    """Write the sky again with every frame passed through `change`; return the tables of what comes out."""
    with Recording(folder / "sky.h5") as source, RecordingWriter(out / "broken.h5", source.start) as writer:
        for message in source.messages():
            if hasattr(message, "pixels"):
                pixels = message.pixels.copy()
                change(message, pixels)
                writer.write(type(message)(**{**fields(message), "pixels": pixels}))
    done = raysieve("process", out / "broken.h5", "-c", "quick", "--maps", folder / "maps.h5", "--out", out)
    assert done.returncode == 0, done.stderr
    return tables(out / "events.fits")


def fields(frame):
    return {name: getattr(frame, name) for name in frame.__dataclass_fields__}


def whole(folder, out):
    return broken(folder, out, lambda message, pixels: None)


@pytest.mark.parametrize("level", [0, 65535])
def test_an_empty_or_saturated_frame_costs_no_other(folder, tmp_path, level):
    def spoil(message, pixels):
        if (message.sequence, message.quadrant) == (5, 1):
            pixels[:] = level

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found, good = broken(folder, tmp_path / "a", spoil), whole(folder, tmp_path / "b")
    others = (good["EVENTS"]["FRAME"] != 5) | (good["EVENTS"]["QUADRANT"] != 1)
    spared = (found["EVENTS"]["FRAME"] != 5) | (found["EVENTS"]["QUADRANT"] != 1)
    for column in ("FRAME", "QUADRANT", "RAWX", "RAWY", "PATTERN"):
        assert np.array_equal(found["EVENTS"][column][spared], good["EVENTS"][column][others])
    (row,) = found["FRAMES"][(found["FRAMES"]["FRAME"] == 5) & (found["FRAMES"]["QUADRANT"] == 1)]
    assert row["QUALITY"] & Quality.DEAD
    (gap,) = found["GAPS"]
    assert (gap["FIRST"], gap["QUADRANT"], gap["REASON"].strip()) == (5, 1, b"dead")
    assert fits.getval(tmp_path / "a" / "events.fits", "LIVETIME", 1) == pytest.approx((20 - 1 / 4) * 0.005)


def test_a_damaged_frame_in_the_file_is_a_gap(folder, tmp_path):
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes((folder / "sky.h5").read_bytes())
    with h5py.File(damaged) as file:
        chunk = file["frames/q2"].id.get_chunk_info(7)
    with damaged.open("r+b") as stream:
        stream.seek(chunk.byte_offset + 40)
        stream.write(b"\xff" * 64)
    done = raysieve("process", damaged, "-c", "quick", "--maps", folder / "maps.h5", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    found = tables(tmp_path / "events.fits")
    (gap,) = found["GAPS"]
    assert (gap["FIRST"], gap["LAST"], gap["QUADRANT"], gap["REASON"].strip()) == (7, 7, 2, b"damaged")
    assert len(found["FRAMES"]) == 20 * 4 - 1
    assert fits.getval(tmp_path / "events.fits", "LIVETIME", 1) == pytest.approx((20 - 1 / 4) * 0.005)
