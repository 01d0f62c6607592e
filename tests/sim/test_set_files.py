"""What holds for every set on disk."""

import pytest

from config.errors import ConfigError
from sim.event_file import EventFile
from sim.frame_file import FrameFile
from tests.sim import test_event_file, test_frame_file

SETS = {
    "events": (lambda path: EventFile(path, {}), test_event_file.block(3, 1, 1)),
    "frames": (lambda path: FrameFile(path, test_frame_file.SHAPE, {}), test_frame_file.block(3, 1)),
}


@pytest.fixture(params=SETS)
def kind(request):
    return SETS[request.param]


def test_the_file_has_its_name_only_when_it_is_whole(kind, tmp_path):
    make, block = kind
    file = make(tmp_path / "set.h5")
    file.write(block)
    assert not (tmp_path / "set.h5").exists()
    file.__exit__(RuntimeError, RuntimeError(), None)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(kind, tmp_path):
    make, _ = kind
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        make(tmp_path / "file" / "set.h5")
    with pytest.raises(ConfigError, match="a file to write, not a folder"):
        make(tmp_path)
