"""The demo's own parts; the demo itself is `make run`."""

import io
import socket

from rich.console import Console

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
