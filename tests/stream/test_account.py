import copy

from stream.account import faults_of

STATUS = {
    "detect": {
        "final": True,
        "counters": {"in_Frame": 100, "rows_out": 90},
        "stages": {"receive": {"duplicate": 7, "shape": 3}},
    },
    "screen": {"final": True, "counters": {"rows_in": 90, "rows_out": 90}, "stages": {}},
    "record": {
        "final": True,
        "counters": {"rows_in": 90},
        "stages": {"record": {"recorded before": 2}},
        "balance": {"record": {"due": 91, "recorded": 88, "lost": 3}},
    },
}


def changed(process, section, **values):
    status = copy.deepcopy(STATUS)
    status[process][section].update(values)
    return status


def test_balanced_books_say_nothing():
    assert faults_of(STATUS) == []
    assert faults_of({}) == []


def test_what_a_process_or_a_link_lost_is_named():
    assert faults_of(changed("detect", "counters", in_Frame=101)) == [
        "detect: 101 frames came, 10 were dropped, 90 went on"
    ]
    assert faults_of(changed("screen", "counters", rows_out=89)) == [
        "screen: 90 frames came, 0 were dropped, 89 went on",
        "screen has given 89 frames to record, which took 90",
    ]
    assert faults_of(changed("record", "balance", record={"due": 92, "recorded": 88, "lost": 3})) == [
        "record: 92 due, 88 recorded, 3 lost"
    ]


def test_a_replaced_process_cannot_be_held_to_its_counters():
    status = changed("screen", "counters", rows_in=5, rows_out=5)
    status["screen"]["restarts"] = 1
    assert faults_of(status) == []
    status["record"]["balance"]["record"]["lost"] = 2
    assert faults_of(status) == ["record: 91 due, 88 recorded, 2 lost"]


def test_what_an_earlier_daemon_recorded_did_not_come_through_this_one():
    status = changed("record", "balance", record={"due": 101, "recorded": 98, "lost": 3, "before": 10})
    assert faults_of(status) == []
