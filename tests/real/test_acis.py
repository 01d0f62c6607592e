"""Chandra ACIS: grades and pulse heights of the flight software and the ground system, row by row."""

import numpy as np
import pytest
from astropy.io import fits

from tests.chain.daemon import Daemon
from tests.real.conftest import invoke, pair, tables

pytestmark = pytest.mark.real
KEYS = {"SRC_FRAME": "expno", "SRC_CHIP": "ccd_id", "SRC_X": "chipx", "SRC_Y": "chipy"}


@pytest.fixture(scope="module")
def vfaint(data, process):
    path = data / "acis" / "kes75_500_1500.fits.gz"
    return process("acis", path, "acis"), fits.getdata(path, "EVENTS")


def test_vfaint_grade_and_pulse_height_equal_the_missions_in_every_row(vfaint):
    lists, theirs = vfaint
    ours = lists["EVENTS"]
    a, b = pair(ours, theirs, KEYS)
    assert len(a) == len(theirs) == 11_311
    assert len(ours) == 11_311  # and no event that the mission does not have
    assert np.array_equal(ours["NEIGHBOURS"][a], theirs["fltgrade"][b])
    assert np.array_equal(ours["GRADE"][a], theirs["grade"][b])
    assert np.array_equal(ours["PHA"][a], theirs["pha"][b])


def test_vfaint_times_and_exposure_are_the_missions(vfaint):
    lists, theirs = vfaint
    a, b = pair(lists["EVENTS"], theirs, KEYS)
    assert np.abs(lists["EVENTS"]["TIME"][a] - theirs["time"][b]).max() < 1e-3


@pytest.fixture(scope="module")
def faint(data, process):
    folder = data / "acis"
    path = folder / "acisf28229_repro_evt2.fits.gz"
    biases = [word for n in (1, 2) for word in ("--bias", folder / f"acisf828602635N001_{n}_bias0.fits.gz")]
    bad = ("--bpix", folder / "acisf28229_000N001_bpix1.fits.gz")
    return process("acis", path, "acis", *biases, *bad), fits.getdata(path, "EVENTS")


def test_faint_events_are_found_at_their_pixels(faint):
    lists, theirs = faint
    a, _ = pair(lists["EVENTS"], theirs, KEYS)
    assert len(a) == len(theirs) == len(lists["EVENTS"]) == 26_745  # all of them, and none besides


def test_faint_raw_pulse_heights_are_reproduced(faint):
    lists, theirs = faint
    a, b = pair(lists["EVENTS"], theirs, KEYS)
    assert np.array_equal(lists["EVENTS"]["PHA"][a], theirs["pha_ro"][b])


def test_faint_grades_differ_by_charge_transfer_only(faint):
    lists, theirs = faint
    a, b = pair(lists["EVENTS"], theirs, KEYS)
    raw = lists["EVENTS"]["NEIGHBOURS"][a] == theirs["fltgrade"][b]
    assert 0.6 < raw.mean() < 0.8  # FLTGRADE was made after the CTI correction, the islands were sent before it


def test_another_faint_list_of_a_front_illuminated_chip(data, process):
    path = data / "acis" / "03392_sgra_evt2.fits.gz"
    ours, theirs = process("acis", path, "acis")["EVENTS"], fits.getdata(path, "EVENTS")
    a, _ = pair(ours, theirs, KEYS)
    assert len(a) == len(theirs)


def test_the_socket_pipeline_gives_the_same_list(faint, data, tmp_path):
    """Flight bias, islands, thresholds and bad pixels through the daemon: bit for bit what `process` gives."""
    folder = data / "acis"
    biases = [word for n in (1, 2) for word in ("--bias", folder / f"acisf828602635N001_{n}_bias0.fits.gz")]
    bad = ("--bpix", folder / "acisf28229_000N001_bpix1.fits.gz")
    invoke("convert", "acis", folder / "acisf28229_repro_evt2.fits.gz", tmp_path / "frames.h5", *biases, *bad)
    daemon = Daemon(tmp_path, tmp_path / "out", config="acis", maps=tmp_path / "frames.h5")
    invoke("replay", tmp_path / "frames.h5", "--to", daemon.url, "--rate", "max")
    assert daemon.end()[0] == 0
    found = tables(tmp_path / "out" / "events.fits")
    for name, table in faint[0].items():
        assert found[name].tobytes() == table.tobytes(), name
