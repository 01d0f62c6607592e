import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim.geant4.batch import Order
from sim.geant4.data_files import default_folder, provide, variables
from sim.geant4.geometry import load_geometry
from sim.geant4.produce import produce

ROOT = Path(__file__).parents[3]
BATCH, BATCHES = 300, 2


@pytest.fixture(scope="session")
def data_files(tmp_path_factory):
    """Return the folder of Geant4's data files, written once; RAYSIEVE_CACHE names the folder it is in."""
    missing = [name for name in ("geant4_pybind", "xraylib") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"no sim extra: {' and '.join(missing)} not installed (pip install -e '.[sim]')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSIEVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield provide(default_folder())


@pytest.fixture(scope="session")
def in_engine(data_files, tmp_path_factory):
    """Return a function: run one of `tests.sim.geant4.engines` in its own process, return its arrays and output."""

    def run(name, geometry_toml):
        folder = tmp_path_factory.mktemp(name)
        (folder / "geometry.toml").write_text(geometry_toml)
        command = [sys.executable, "-m", "tests.sim.geant4.engines", name, folder / "geometry.toml", folder / "out.npz"]
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, env=os.environ | variables(data_files), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        with np.load(folder / "out.npz") as arrays:
            return dict(arrays), done.stdout

    return run


@pytest.fixture(scope="session")
def order():
    return Order(geometry_toml=load_geometry("close")[1], seed=3, batch=BATCH)


@pytest.fixture(scope="session")
def production(data_files, order, tmp_path_factory):
    """A small production, made by two workers; its parts are kept in `hits.h5.parts`."""
    out = tmp_path_factory.mktemp("production") / "hits.h5"
    produce(out, order, BATCHES, 2, data_files, keep_parts=True)
    return out
