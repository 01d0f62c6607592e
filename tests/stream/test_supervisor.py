import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from config.load import load
from stream.errors import ConfigError, LinkError
from stream.supervisor import Child, Supervisor


def test_a_full_disk_does_not_end_the_supervisor(tmp_path, monkeypatch):
    supervisor = Supervisor(load("quick"), tmp_path, once=True, overwrite=False)
    dead, another = Child(SimpleNamespace(exitcode=1), Mock()), Child(Mock(), Mock())
    (tmp_path / ".status" / "record.json").write_text("{}")
    (tmp_path / ".status" / "record.error").touch()  # it could not say why either
    monkeypatch.setattr(supervisor, "_start", lambda *_: another)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    supervisor._replace("record", dead, supervisor._why("record", dead))
    assert supervisor._active["record"] is another
    assert supervisor._replaced["record"] == {"restarts": 1, "reason": "exit code 1"}


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file: cannot be written: is a file, expected a folder"):
        Supervisor(load("quick"), tmp_path / "file", once=True, overwrite=False)


def test_what_runs_aside_has_a_budget_of_its_own(tmp_path, monkeypatch):
    config = load("quick", ["accumulate.every_s=1", "supervise.restarts=2"])
    supervisor = Supervisor(config, tmp_path, once=True, overwrite=False)
    another = Child(Mock(), Mock())
    monkeypatch.setattr(supervisor, "_start", lambda *_: another)
    for name in ("sources", "record"):
        (tmp_path / ".status" / f"{name}.json").write_text("{}")
    for _ in range(2):
        supervisor._replace("sources", Child(SimpleNamespace(exitcode=1), Mock()), "a fault")
    last = Child(SimpleNamespace(exitcode=1), Mock())
    supervisor._replace("sources", last, "a fault")
    assert last.over
    assert supervisor._replaced["sources"] == {"restarts": 2, "reason": "given up: a fault"}
    for _ in range(2):  # its deaths do not count against the recorder
        supervisor._replace("record", Child(SimpleNamespace(exitcode=1), Mock()), "another fault")
    with pytest.raises(LinkError, match="process record died: another fault"):
        supervisor._replace("record", Child(SimpleNamespace(exitcode=1), Mock()), "another fault")


def test_what_runs_aside_is_let_go_when_nothing_more_can_come(tmp_path, monkeypatch):
    config = load("quick", ["accumulate.every_s=1"])
    supervisor = Supervisor(config, tmp_path, once=True, overwrite=False)
    asked = []
    monkeypatch.setattr("stream.supervisor._drain", asked.append)
    beside = SimpleNamespace(pid=7, exitcode=None, is_alive=lambda: True)
    on_the_way = SimpleNamespace(exitcode=None, is_alive=lambda: True)
    supervisor._active = {"record": Child(on_the_way, Mock()), "sources": Child(beside, Mock())}
    (tmp_path / ".status" / "sources.json").write_text('{"pid": 7}')
    supervisor._let_go()
    assert not asked  # more may come
    supervisor._active["record"] = Child(SimpleNamespace(exitcode=0, is_alive=lambda: False), Mock())
    supervisor._let_go()
    supervisor._let_go()
    assert asked == [beside]
