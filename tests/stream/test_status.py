"""How a daemon is, from what its processes wrote."""

import json

import pytest

from stream.errors import ConfigError
from stream.status import read, require
from tests.stream.daemons import change


def states(out):
    return {name: status["state"] for name, status in read(out).items()}


def test_a_process_is_as_old_as_its_status(out):
    assert set(states(out).values()) == {"finished"}
    for name, age_s in (("detect", 0.5), ("screen", 5), ("record", 100)):
        change(out, name, age_s)
    assert states(out) == {"detect": "running", "screen": "stale", "record": "dead"}
    assert read(out)["screen"]["age_s"] == pytest.approx(5)
    (out / ".status/record.json").unlink()
    assert states(out)["record"] == "absent"


def test_last_words_are_those_of_this_life(out):
    change(out, "screen")
    (out / ".status/screen.error").write_text("no space left\n")
    assert (read(out)["screen"]["state"], read(out)["screen"]["error"]) == ("dead", "no space left")
    change(out, "screen", age_s=-60)  # started anew
    assert states(out)["screen"] == "running"
    assert "error" not in read(out)["screen"]


def test_what_did_not_go_on_is_told_by_reason(out):
    found = read(out)
    assert found["detect"]["drops"] == {"lost": 1}
    assert found["screen"]["drops"] == found["record"]["drops"] == {}
    counters = change(out, "detect")["counters"] | {"gap_overflow": 2, "gap_lost": 1, "source_lost": 1}
    change(out, "detect", counters=counters, source={"messages": 9, "bad_version": 3, "bad_not_kept": 1})
    change(out, "record", counters={"gap_overflow": 2}, stages={"record": {"before start": 1}})
    found = read(out)
    assert found["detect"]["drops"] == {"lost": 1, "bad_version": 3, "overflow": 2}
    assert found["detect"]["notes"] == {"bad_not_kept": 1, "source_lost": 1}
    assert found["record"]["drops"] == {"before start": 1}


@pytest.mark.parametrize(
    ("given", "taken", "apart_s", "waiting"),
    [
        (500, 480, 0.0, 20),
        (500, 480, 0.05, 10),  # the sender counted 50 ms after the reader, and gives 200 a second
        (480, 480, -0.05, 10),
        (490, 500, 0.0, 0),  # they do not count at quite the same time
        (5000, 100, 0.0, None),  # more than the link can hold: the reader was started anew
        (10, 5000, 0.0, None),  # the sender was
    ],
)
def test_messages_between_two_processes(out, given, taken, apart_s, waiting):
    rates = {"in": 800.0, "out": 200.0, "cpu": 0.5}
    change(out, "detect", 1.0, counters={"out_EventList": given - 1, "out_Start": 1}, rates=rates)
    change(out, "screen", 1.0 + apart_s, source={"messages": taken})
    found = read(out)
    assert found["screen"]["waiting"] == waiting
    assert found["detect"]["waiting"] is None


def test_nothing_waits_when_all_have_finished(out):
    assert [status["waiting"] for status in read(out).values()] == [None, 0, 0]


def test_without_a_status_one_line_says_where_it_should_be(tmp_path):
    with pytest.raises(
        ConfigError, match=r"\.status: expected the status of a daemon .*detect\.json, screen\.json, record\.json"
    ):
        require(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "1"])
def test_what_is_no_status_is_named(out, text):
    (out / ".status/detect.json").write_text(text)
    with pytest.raises(ConfigError, match=r"detect\.json: expected the status of a process, in JSON"):
        read(out)


def test_what_an_older_version_wrote_is_named(out):
    status = change(out, "detect")
    (out / ".status/detect.json").write_text(
        json.dumps({k: v for k, v in status.items() if k not in ("rates", "lag_s")})
    )
    with pytest.raises(ConfigError, match=r"detect\.json: .* of this version; it has no lag_s, rates"):
        read(out)
