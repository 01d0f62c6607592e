"""Processes that die or halt are replaced: every read-out is recorded once, or a gap."""

import os
import signal

import pytest

from tests.chain.books import books
from tests.chain.daemon import READOUTS, Daemon, raysieve, start, wait_for

LOOPS = 8
SETTINGS = ("--set", "record.interval_s=0.2", "--set", "supervise.stuck_s=100", "--set", "supervise.restarts=20")
STANDBY = ("--set", "supervise.standby=true")


def pid_of(daemon, process):
    """Return the process that does the work: the one whose status is written."""
    return daemon.status()[process]["pid"]


def assert_balanced(out, readouts, lost_at_most):
    frames, gaps = books(out)
    assert len(set(frames)) == len(frames)
    assert len(set(gaps)) == len(gaps)
    assert not set(frames) & set(gaps)
    assert set(frames) | set(gaps) == {(n, q) for n in range(readouts) for q in range(4)}
    assert len(gaps) <= lost_at_most


@pytest.mark.parametrize("process", ["detect", "screen", "record"])
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_halts_is_replaced(folder, tmp_path, process, by):
    daemon = Daemon(folder, tmp_path, *SETTINGS, *STANDBY)
    camera = start("replay", folder / "sky.h5", "--to", daemon.url, "--loop", LOOPS, "--rate", "0.3")
    wait_for(lambda: daemon.status()["record"]["counters"].get("in_EventList", 0) > 50)
    os.kill(pid_of(daemon, process), by)
    wait_for(lambda: daemon.status()[process]["counters"].get("gone_on"))
    assert camera.wait(timeout=60) == 0
    code, said = daemon.end()
    assert code == 0, said
    assert_balanced(tmp_path, LOOPS * READOUTS, lost_at_most=4 * LOOPS * READOUTS)


def test_a_daemon_that_was_killed_goes_on_with_the_run(folder, tmp_path):
    daemon = Daemon(folder, tmp_path, *SETTINGS, once=False)
    camera = start("replay", folder / "sky.h5", "--to", daemon.url, "--loop", LOOPS, "--rate", "0.5")
    wait_for(lambda: daemon.status()["record"]["counters"].get("in_EventList", 0) > 100)
    victims = [daemon.process.pid, *(pid_of(daemon, name) for name in ("detect", "screen", "record"))]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    daemon.process.communicate()
    again = Daemon(folder, tmp_path, *SETTINGS, once=False)
    assert camera.wait(timeout=90) == 0
    wait_for(lambda: list(tmp_path.glob("*/events.fits")))
    again.process.send_signal(signal.SIGTERM)
    code, said = again.end()
    assert code == 0, said
    assert len(list(tmp_path.rglob("*.fits"))) == 1
    assert_balanced(tmp_path, LOOPS * READOUTS, lost_at_most=4 * LOOPS * READOUTS)
    frames, _ = books(tmp_path)
    assert {(n, q) for n in range(60) for q in range(4)} <= set(frames)  # whole intervals were on disk


def test_a_camera_that_begins_again_is_recorded_once(folder, tmp_path):
    daemon = Daemon(folder, tmp_path, *SETTINGS)
    camera = start("replay", folder / "sky.h5", "--to", daemon.url, "--rate", "0.2")
    wait_for(lambda: daemon.status()["record"]["counters"].get("in_EventList", 0) > 10)
    camera.kill()
    camera.wait()
    done = raysieve("replay", folder / "sky.h5", "--to", daemon.url, "--rate", "max")
    assert done.returncode == 0, done.stderr
    code, said = daemon.end()
    assert code == 0, said
    assert_balanced(tmp_path, READOUTS, lost_at_most=0)
    status = daemon.status()
    assert status["detect"]["counters"]["start_again"] == 1
    assert status["detect"]["stages"]["receive"]["duplicate"] > 20


def test_one_that_dies_again_and_again_ends_the_daemon_with_its_name(folder, tmp_path):
    daemon = Daemon(folder, tmp_path, "--set", "supervise.restarts=1", once=False)
    for _ in range(2):
        before = pid_of(daemon, "screen")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda before=before: daemon.process.poll() is not None or pid_of(daemon, "screen") != before)
    code, said = daemon.end()
    assert code == 1
    assert "raysieve: process screen died: killed by signal 9" in said
