"""The demo's own parts; the demo itself is `make run`."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from config.errors import ConfigError
from config.load import load
from raysieve import cli
from sim import demo


def test_a_port_that_another_program_has_is_left_to_it(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(demo, "VIEW_PORT", taken.getsockname()[1])
        assert demo._free_port() == 0
    assert demo._free_port() == demo.VIEW_PORT


def test_without_the_extra_it_runs_without_a_view(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(demo, "VIEW_NEEDS", ("no_such_package",))
    with demo._view("wfi", [], Console(file=said), False):
        pass
    assert "pip install -e '.[view]'" in said.getvalue()


def test_a_camera_of_other_pixels_than_the_shipped_hits_gets_straight_tracks():
    said = io.StringIO()
    assert demo._hits_for(load("quick"), Console(file=said)) == ("--hits", "straight")
    assert "straight tracks" in said.getvalue()
    assert demo._hits_for(load("wfi"), Console(file=said)) == ()


def test_what_cannot_be_shown_is_refused_before_anything_is_made(tmp_path):
    (tmp_path / "file").touch()
    for words, wanted in (
        (["--config", "acis", "--out", f"{tmp_path}/out"], "acis: no detector.quadrants"),
        (["--out", f"{tmp_path}/file"], "file: cannot be written: is a file, expected a folder"),
    ):
        said = CliRunner().invoke(cli, ["demo", *words])
        assert isinstance(said.exception, ConfigError)
        assert wanted in str(said.exception)
        assert "1/5" not in said.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def started(tmp_path):
    """A demo in a process of its own, its output in a file, and a mark that all that it starts inherits."""
    mark = f"RAYSIEVE_TEST={uuid.uuid4().hex}"
    command = [sys.executable, "-m", "raysieve", "demo", "--config", "quick", "--serve", "--out", str(tmp_path / "out")]
    said = tmp_path / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | dict([mark.split("=")]), start_new_session=True
        )
    yield process, said, mark
    for pid in alive(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def alive(mark):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def recorded(out):
    with suppress(OSError, ValueError):
        return json.loads((out / ".status/record.json").read_text())["counters"].get("in_EventList", 0)
    return 0


def wait_for(what, patience_s=120):
    deadline = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("sign", "begun"), [(signal.SIGHUP, "1/5"), (signal.SIGTERM, "ready: "), (signal.SIGKILL, "ready: ")]
)
def test_no_process_outlives_the_demo(started, sign, begun):
    process, said, mark = started
    wait_for(lambda: begun in said.read_text() or process.poll() is not None)
    if begun == "ready: ":
        wait_for(lambda: recorded(said.parent / "out") > 0)
    process.send_signal(sign)
    wait_for(lambda: not alive(mark), 60)
    assert "Traceback" not in said.read_text()
    if sign == signal.SIGTERM:
        assert process.wait() == 0
        assert "frames taken" in said.read_text()  # it reports, as after ctrl-C
