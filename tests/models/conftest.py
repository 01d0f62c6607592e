import pytest
from click.testing import CliRunner

from sim.commands import simulate


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="no train extra: torch not installed (pip install -e '.[train]')")


@pytest.fixture(scope="session")
def frame_sets(tmp_path_factory):
    """Two small sets of the shipped library, of different primaries."""
    folder = tmp_path_factory.mktemp("sets")
    paths = folder / "train.h5", folder / "test.h5"
    for path, part, number in zip(paths, (("0", "0.7"), ("0.7", "1")), ("64", "16"), strict=True):
        options = ["--config", "wfi", "--per-class", number, "--part", *part]
        done = CliRunner().invoke(simulate, ["frames", str(path), *options])
        assert done.exit_code == 0, done.output
    return paths
