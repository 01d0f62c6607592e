"""A process that is gone is red at once, and the diary says why."""

import json
import os
import subprocess
import sys

from stream.status import SUPERVISOR
from tests.stream.daemons import change
from view.health import WHY, Health, why_of


def test_losses_are_told_with_their_reason(out):
    health = Health(out)
    health.look()
    told = health.told()
    assert told["state"] == "finished"
    assert told["processes"]["detect"]["drops"] == [["lost", 1, WHY["lost"]]]
    assert all(row["age_s"] >= 0 for row in told["processes"].values())


def test_a_process_that_is_gone_is_dead_at_once(out):
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for name in ("detect", "screen", "record"):
        change(out, name, pid=os.getpid() if name != "screen" else sleeper.pid)
    health = Health(out)
    health.look()
    assert health.told()["state"] == "running"
    sleeper.kill()
    sleeper.communicate()
    health.look()
    told = health.told()
    assert told["state"] == told["processes"]["screen"]["state"] == "dead"
    assert told["diary"][0]["text"] == "running → dead: the process is gone"
    assert told["alarm"][0]["process"] == "screen"


def test_processes_of_another_machine_are_judged_by_their_files_alone(out):
    for name in ("detect", "screen", "record"):
        change(out, name, pid=2**22 + 1)  # beyond any number of this machine
    health = Health(out)
    health.look()
    assert health.told()["state"] == "running"
    change(out, "detect", age_s=5.0, pid=2**22 + 1)
    health.look()
    assert health.told()["processes"]["detect"]["state"] == "stale"


def test_a_replacement_and_new_losses_are_in_the_diary(out):
    status = change(out, "detect")
    change(out, "screen")
    health = Health(out)
    health.look()
    (out / ".status" / SUPERVISOR).write_text(json.dumps({"detect": {"restarts": 1, "reason": "killed by signal 9"}}))
    status["stages"]["receive"]["lost"] += 4
    change(out, "detect", stages=status["stages"])
    health.look()
    told = health.told()
    texts = [line["text"] for line in told["diary"] if line["loud"]]
    assert texts == ["4 more dropped, lost: frames never came", "replaced, 1 so far: killed by signal 9"]
    assert told["processes"]["detect"]["restarts"] == 1
    assert len(told["alarm"]) == 2


def test_without_a_daemon_all_are_absent(tmp_path):
    health = Health(tmp_path)
    health.look()
    assert health.told()["state"] == "absent"
    assert {row["state"] for row in health.told()["processes"].values()} == {"absent"}


def test_a_damaged_status_is_said_and_what_was_known_stays(out):
    for name in ("detect", "screen", "record"):
        change(out, name)
    health = Health(out)
    health.look()
    (out / ".status" / "detect.json").write_text("{")
    health.look()
    told = health.told()
    assert "expected the status of a process" in told["error"]
    assert told["processes"]["detect"]["state"] == "running"


def test_every_reason_has_words():
    assert why_of("bad_kind") == "messages that could not be read"
    assert why_of("none such") == "see docs/faults.md"
