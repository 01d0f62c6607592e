from dataclasses import replace
from pathlib import Path

import pytest

from stream.messages import End
from stream.transport.notes import SLOT_BYTES, Notes
from tests.event_lists import START


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "record.open")


def test_there_is_nothing_before_a_stream(notes):
    assert notes.read() is None
    assert notes.read_end() is None
    notes.reserve()
    notes.end()
    assert notes.read() is None
    assert notes.read_end() is None


def test_the_newest_is_read_and_another_process_goes_on(notes, tmp_path):
    for last in range(5):
        notes.write(START, {"receive": {"next": last}}, last)
    assert notes.read() == (START, {"receive": {"next": 4}}, 4)
    again = Notes(tmp_path / "record.open")
    again.write(START, {}, 7)
    assert notes.read() == (START, {}, 7)
    again.end()
    assert notes.read() is None
    assert notes.read_end() == (START, End(stream="camera", last=7))
    assert Notes(tmp_path / "screen.open", notes).end_before(START) == End(stream="camera", last=7)
    assert Notes(tmp_path / "screen.open", notes).end_before(replace(START, run_id="other")) is None
    again.write(replace(START, run_id="next"), {})
    assert notes.read_end() is None


def test_a_torn_note_leaves_the_one_before(notes, tmp_path):
    notes.write(START, {}, 1)
    notes.write(START, {}, 2)
    content = bytearray((tmp_path / "record.open").read_bytes())
    content[20] ^= 1  # number 2 lies in slot 0
    (tmp_path / "record.open").write_bytes(content)
    assert notes.read() == (START, {}, 1)
    (tmp_path / "record.open").write_bytes(b"\xff" * 40)
    assert notes.read() is None


def test_a_disk_that_is_full_does_not_stop_the_notes(notes, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    notes.reserve()
    monkeypatch.setattr(Path, "write_bytes", refuse)
    for last in range(3):
        notes.write(START, {}, last)
    assert notes.read() == (START, {}, 2)
    assert (tmp_path / "record.open").stat().st_size == 2 * SLOT_BYTES  # it needs no more room than it has
    notes.end()
    assert notes.read_end() == (START, End(stream="camera", last=2))


def test_a_disk_that_was_full_from_the_beginning(notes, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    notes.reserve()
    notes.write(START, {}, 1)
    assert notes.read() is None


def test_what_does_not_fit_is_a_fault_of_ours(notes):
    with pytest.raises(ValueError, match="expected at most"):
        notes.write(START, {"receive": "x" * SLOT_BYTES})
