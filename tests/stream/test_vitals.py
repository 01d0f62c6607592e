import time

import numpy as np
import zmq

from stream.vitals import Vitals, flow


def test_rates_are_those_since_they_were_told_last(monkeypatch):
    seconds = iter((100.0, 100.5, 101.5))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    vitals = Vitals("abc")
    for counters, expected in (
        ({"in_Frame": 400, "out_EventList": 100}, (800, 200)),
        ({"in_Frame": 410, "out_EventList": 100}, (10, 0)),
    ):
        rates = vitals.told(counters)["rates"]
        assert (rates["in"], rates["out"]) == expected
        assert rates["cpu"] >= 0


def test_what_a_process_is_made_of():
    told = Vitals("abc").told({})
    assert told["configuration"] == "abc"
    assert told["versions"]["numpy"] == np.__version__
    assert told["versions"]["pyzmq"] == zmq.__version__
    assert told["memory_bytes"] is None or told["memory_bytes"] > 10_000_000
    assert abs(told["time_s"] - time.time()) < 60
    assert told["cpu_s"] > 0


def test_lists_and_products_flow_as_well():
    assert flow({"in_EventList": 3, "in_Start": 1, "out_Product": 2, "out_End": 1}) == (3, 2)
