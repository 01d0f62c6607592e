import pytest
from click.testing import CliRunner

from config.load import load
from sim.commands import simulate


@pytest.fixture(scope="session")
def config():
    return load("wfi", ())


@pytest.fixture(scope="session")
def event_files(tmp_path_factory):
    """Two small sets of the shipped library, of different primaries."""
    folder = tmp_path_factory.mktemp("events")
    paths = folder / "train.h5", folder / "test.h5"
    for path, part, number in zip(paths, (("0", "0.7"), ("0.7", "1")), ("1000", "400"), strict=True):
        options = ["--config", "wfi", "--readouts", number, "--part", *part, "--seed", "5"]
        done = CliRunner().invoke(simulate, ["events", str(path), *options])
        assert done.exit_code == 0, done.output
    return paths


@pytest.fixture(scope="session")
def known(torch, event_files, config):
    from models.candidates import Events
    from models.islands.dataset import scenes

    return tuple(scenes(Events(path), config) for path in event_files)
