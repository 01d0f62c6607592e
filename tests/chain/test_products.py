"""The process beside the way of the frames: it sees what is recorded, and its faults cost no frame."""

import json
import os
import signal
from threading import Thread

import numpy as np
import pytest
from astropy.io import fits

from sim.sources.camera import built_in
from stream.transport.ogip_writer import write_arf, write_rmf
from tests.chain.books import books
from tests.chain.daemon import CONFIG, READOUTS, Daemon, raysieve, wait_for

pytestmark = pytest.mark.slow
SETTINGS = ("--set", "accumulate.every_s=0.1", "--set", "record.interval_s=0.05")


def feed(daemon, folder, *more):
    wait_for((daemon.out / ".status" / "sources.json").is_file, 300)  # a fresh checkout compiles all kernels
    assert raysieve("replay", folder / "sky.h5", "--to", daemon.url, *more).returncode == 0


def test_images_of_a_daemon_are_those_of_its_event_list(folder, tmp_path):
    write_rmf(tmp_path / "camera.rmf", built_in().response)
    write_arf(tmp_path / "camera.arf", built_in().response)
    named = [f"classify.{kind}={tmp_path / f'camera.{kind}'}" for kind in ("rmf", "arf")]
    daemon = Daemon(folder, tmp_path / "out", *SETTINGS, *(word for one in named for word in ("--set", one)))
    feed(daemon, folder, "--loop", "4")
    code, said = daemon.end()
    assert code == 0, said
    with fits.open(tmp_path / "out" / "events.fits") as lists, fits.open(tmp_path / "out" / "images.fits") as images:
        events = lists["EVENTS"].data
        for hdu in images[1:-1]:
            inside = (events["ENERGY"] >= hdu.header["BAND_LO"]) & (events["ENERGY"] < hdu.header["BAND_HI"])
            assert hdu.data.sum() == inside.sum()
        exposure = images["EXPOSURE"].data
        assert images["EXPOSURE"].header["MISSING"] == 0
        assert exposure.max() == pytest.approx(4 * READOUTS * CONFIG.detector.frame_time_s, rel=0.01)
        assert np.median(exposure[exposure > 0]) == pytest.approx(lists["EVENTS"].header["EXPOSURE"], rel=0.01)
    with fits.open(tmp_path / "out" / "sources.fits") as sources:
        assert sources[0].header["NSOURCES"] == len(sources["SOURCES"].data)
        assert sources[0].header["NEWEST"] == images[0].header["NEWEST"]
    with fits.open(tmp_path / "out" / "lightcurve.fits") as curve:
        assert curve["RATE"].data["COUNTS"].sum() <= len(events)


def test_it_may_die_and_nothing_is_lost(folder, tmp_path):
    out = tmp_path / "out"
    daemon = Daemon(folder, out, *SETTINGS)
    status = out / ".status" / "sources.json"
    wait_for(status.is_file, 300)
    os.kill(json.loads(status.read_text())["pid"], signal.SIGKILL)
    feed(daemon, folder, "--loop", "8")
    code, said = daemon.end()
    assert code == 0, said
    frames, gaps = books(out)
    assert sorted(frames) == sorted({(n, q) for n in range(8 * READOUTS) for q in range(4)})
    assert not gaps


def test_images_after_a_kill_are_those_of_the_whole_run(folder, tmp_path):
    out = tmp_path / "out"
    daemon = Daemon(folder, out, *SETTINGS)
    feeding = Thread(target=feed, args=(daemon, folder, "--loop", "12", "--rate", "live"))
    feeding.start()
    wait_for((out / "images.fits").is_file, 300)
    os.kill(json.loads((out / ".status" / "sources.json").read_text())["pid"], signal.SIGKILL)
    feeding.join()
    code, said = daemon.end()
    assert code == 0, said
    with fits.open(out / "events.fits") as lists, fits.open(out / "images.fits") as images:
        assert images["EXPOSURE"].header["MISSING"] == 0
        events = lists["EVENTS"].data
        for hdu in images[1:-1]:
            inside = (events["ENERGY"] >= hdu.header["BAND_LO"]) & (events["ENERGY"] < hdu.header["BAND_HI"])
            assert hdu.data.sum() == inside.sum()


def test_one_that_dies_again_and_again_is_given_up(folder, tmp_path):
    out = tmp_path / "out"
    daemon = Daemon(folder, out, *SETTINGS, "--set", "supervise.restarts=0")
    status = out / ".status" / "sources.json"
    wait_for(status.is_file, 300)
    os.kill(json.loads(status.read_text())["pid"], signal.SIGKILL)
    feed(daemon, folder)
    code, said = daemon.end()
    assert code == 0, said
    assert len(books(out)[0]) == 4 * READOUTS
    assert "given up" in json.loads((out / ".status" / "supervisor.json").read_text())["sources"]["reason"]
