from collections import Counter, deque

import numpy as np
import pytest

from config.load import load
from stream.messages import Product
from stream.stages.accumulate import Accumulate
from stream.transport.eventlist import EventListWriter
from stream.transport.recalled import Recalled
from tests.event_lists import END, START, event_list, products


class Queue:
    """A source that gives what it was given."""

    def __init__(self, messages):
        self.messages, self.counters, self.queue = deque(messages), Counter(), 16

    def receive(self, timeout_s):
        return self.messages.popleft() if self.messages else None


def images_of(source):
    stage = Accumulate(load("quick", ["accumulate.every_s=1e6"]))
    given = []
    while (message := source.receive(0)) is not None:
        given += stage.process(message)
    return next(one for one in reversed(given) if isinstance(one, Product) and one.kind == "images")


@pytest.fixture
def run(tmp_path):
    """A run of which all but the end is on the disk, and its products as they were told."""
    found = products([event_list(sequence) for sequence in range(60)], interval_s=0.05)
    writer = EventListWriter(tmp_path)
    writer.send(START)
    for one in found:
        writer.send(one)
    told = [Product(**{**_fields(one), "header": one.header | {"FOLDER": "."}}) for one in found]
    yield told, tmp_path, writer
    writer.close()


def _fields(one):
    return {
        name: getattr(one, name) for name in ("stream", "kind", "sequence", "time_ns", "header", "tables", "quality")
    }


def same(one, other):
    assert one.header == other.header
    for name in ("IMAGES", "EXPOSURE", "EVENTS", "GTI", "LIGHTCURVE"):
        for column in one.tables[name].dtype.names:
            assert np.array_equal(one.tables[name][column], other.tables[name][column], equal_nan=True), (name, column)


def test_images_are_given_for_what_comes_only(run):
    told, out, _ = run
    stage, source = Accumulate(load("quick", ["accumulate.every_s=0.05"])), Recalled(Queue([START, *told[4:]]), out)
    given = []
    while (message := source.receive(0)) is not None:
        given += [one for one in stage.process(message) if isinstance(one, Product)]
    assert source.counters["recalled"] == 4
    assert [one.header["NINTERV"] for one in given] == [*range(5, len(told) + 1)]


@pytest.mark.parametrize("kept", [slice(4, None), slice(1, None, 2), slice(-1, None)])
def test_who_begins_late_or_misses_some_has_the_same_images(run, kept):
    told, out, _ = run
    whole = images_of(Queue([START, *told, END]))
    late = Recalled(Queue([START, *told[kept], END]), out)
    same(images_of(late), whole)
    assert late.counters["recalled"] == len(told) - len(told[kept])


def test_who_hears_of_the_end_only_has_all_of_a_run_that_it_knows_to_be_open(run):
    told, out, writer = run
    whole = images_of(Queue([START, *told, END]))
    writer.send(END)  # joined
    late = images_of(Recalled(Queue([END]), out, START.run_id))
    assert np.array_equal(late.tables["IMAGES"]["COUNTS"], whole.tables["IMAGES"]["COUNTS"])
    assert late.header["EXPOSURE"] == pytest.approx(whole.header["EXPOSURE"])
    assert late.header["MISSING"] == 0


def test_what_has_been_joined_with_what_was_seen_comes_anew_at_the_end(run):
    told, out, writer = run
    whole = images_of(Queue([START, *told, END]))
    writer.send(END)
    late = images_of(Recalled(Queue([START, *told[3:], END]), out))
    assert np.array_equal(late.tables["IMAGES"]["COUNTS"], whole.tables["IMAGES"]["COUNTS"])
    assert late.header["MISSING"] == 0


def test_what_cannot_be_read_stays_missing_and_is_counted(run):
    told, out, _ = run
    part = sorted(out.glob(".events.parts/*/*.fits"))[2]
    content = part.read_bytes()
    part.write_bytes(content[:6000])
    late = Recalled(Queue([START, *told[5:], END]), out)
    assert images_of(late).header["MISSING"] == 1
    assert late.counters["unreadable"] >= 1
    part.write_bytes(content)
