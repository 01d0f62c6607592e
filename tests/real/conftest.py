import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from raysieve import cli

DATA = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


@pytest.fixture(scope="session")
def data():
    if not DATA.is_dir():
        pytest.skip(f"no mission data: {DATA} is not there (set RAYSIEVE_DATA)")
    return DATA


@pytest.fixture(scope="session")
def dr2(data):
    """The path of 4FGL-DR2."""
    path = data / "lat" / "catalogs" / "gll_psc_v27.fit.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


@pytest.fixture(scope="session")
def process(tmp_path_factory):
    """Return a function: convert a mission's list, process it, return the tables of its events.fits."""

    def run(kind, source, config, *options):
        folder = tmp_path_factory.mktemp(kind)
        frames = folder / "frames.h5"
        invoke("convert", kind, source, frames, *options)
        invoke("process", frames, "--config", config, "--out", folder)
        return tables(folder / "events.fits")

    return run


def invoke(*arguments):
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def tables(path):
    with fits.open(path, checksum=True) as hdus:
        return {hdu.name: np.array(hdu.data) for hdu in hdus[1:]}


def pair(ours, theirs, keys):
    """Return indices (ours, theirs) of the rows with equal keys; each side's keys are unique.

    keys: {our column: their column}.
    """
    a = {tuple(int(row[k]) for k in keys): n for n, row in enumerate(ours)}
    b = {tuple(int(row[k]) for k in keys.values()): n for n, row in enumerate(theirs)}
    assert len(a) == len(ours)
    assert len(b) == len(theirs)
    common = sorted(a.keys() & b.keys())
    return np.array([a[k] for k in common]), np.array([b[k] for k in common])
