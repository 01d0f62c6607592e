"""`raysieve top` on what processes have written."""

import json

import pytest
from click.testing import CliRunner

from raysieve import cli
from stream.errors import ConfigError
from tests.stream.daemons import change


def said(*words):
    done = CliRunner().invoke(cli, ["top", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_once(out):
    rates = {"in": 800.0, "out": 200.0, "cpu": 0.25}
    change(out, "detect", rates=rates, lag_s=0.0061, memory_bytes=312_000_000)
    change(out, "screen", 5, about={"screen": {"network": "net 12ab on cpu f32"}})
    lines = [line.split() for line in said(out, "--once").splitlines()]
    assert ["detect", "running", "800", "200", "-", "7", "0", "0", "6.1", "25", "312"] in lines
    assert [line[1] for line in lines if line[:1] == ["screen"] and line[1] == "stale"]
    assert [line[1] for line in lines if line[:1] == ["record"] and line[1] == "finished"]
    assert [line for line in lines if line[:5] == ["detect", "frame", "to", "events", "3"] and len(line) == 9]
    text = [" ".join(line) for line in lines]
    assert "dropped: detect lost 1" in text
    assert "screen: network net 12ab on cpu f32" in text
    assert any("configuration 0123456789abcdef" in line and "numpy " in line for line in text)


def test_it_fits_into_80_columns(out):
    counters = change(out, "detect")["counters"] | {"events": 123_456_789, "rejected": 987_654, "tracks": 654_321}
    change(out, "detect", counters=counters, lag_s=12.3456)
    process_rows = said(out, "--once").splitlines()[:4]
    assert max(len(row.rstrip()) for row in process_rows) <= 80
    assert "123.46M" in process_rows[1]


def test_json(out):
    found = json.loads(said(out, "--json"), parse_constant=pytest.fail)
    assert [(name, status["state"]) for name, status in found.items()] == [
        ("detect", "finished"),
        ("screen", "finished"),
        ("record", "finished"),
    ]
    assert found["detect"]["latencies"]["frame to events"]["p999_ms"] > 0
    assert found["detect"]["drops"] == {"lost": 1}


def test_last_words_of_a_process_that_never_was_ready(out):
    for path in (out / ".status").glob("*.json"):
        path.unlink()
    (out / ".status/detect.error").write_text("maps.h5: no such file")
    text = said(out, "--once")
    assert "detect  absent" in text
    assert "detect: maps.h5: no such file" in text


def test_a_folder_without_a_daemon(tmp_path):
    with pytest.raises(ConfigError, match="expected the status of a daemon"):
        said(tmp_path / "nowhere")
