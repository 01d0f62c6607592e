from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.commands import simulate

PARTS = {"training": ("0", "0.4"), "calibration": ("0.4", "0.7"), "test": ("0.7", "1")}


@pytest.fixture(scope="session")
def event_sets(tmp_path_factory):
    """Three small crowded sets of the shipped library, of different primaries."""
    folder = tmp_path_factory.mktemp("events")
    return {name: simulated(folder / f"{name}.h5", name) for name in PARTS}


def simulated(path: Path, part: str) -> Path:
    sky = ["--particles", "4", "--windows", "0.5", "--part", *PARTS[part]]
    done = CliRunner().invoke(simulate, ["events", str(path), "-c", "wfi", "--readouts", "250", *sky])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="session")
def small_models(torch, tmp_path_factory):
    """A folder with an untrained frames.onnx, and forest.onnx and islands.onnx with the ends of the shipped ones."""
    from export.frames import export
    from models import checkpoint
    from models.frames.network import FrameNet
    from tests.models.screening.models import forest, islands

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    network = FrameNet()
    checkpoint.save(folder / "frames.npz", network, torch.optim.Adam(network.parameters()), {})
    export(folder / "frames.npz", folder / "frames.onnx")
    forest(folder / "forest.onnx")
    islands(folder / "islands.onnx")
    return folder
