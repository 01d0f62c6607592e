import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from config.load import load
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
