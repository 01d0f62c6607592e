"""A few thousand of the hostile messages of `bench.hostile`."""

from itertools import islice

from stream.messages import End, EventList, Frame, Gap, Product, Start
from stream.stages.receive import Receive
from stream.transport.wire import FAULTS, BadMessageError
from tests.stream.stages.streams import CONFIG
from tests.stream.transport.hostile_cases import cases, outcome, streams, survive
from tests.stream.transport.hostile_wire import GOOD


def test_hostile_messages_are_read_or_refused_in_every_way():
    found = [outcome(parts) for parts in islice(cases(1, list(GOOD.values())), 4000)]
    assert {result.fault for result in found if isinstance(result, BadMessageError)} == set(FAULTS)
    kinds = {type(result) for result in found if not isinstance(result, BadMessageError)}
    assert kinds == {Start, Frame, EventList, Product, Gap, End}


def test_the_same_seed_gives_the_same_messages():
    one, other, third = (list(islice(cases(seed, list(GOOD.values())), 200)) for seed in (1, 1, 2))
    assert one == other != third


def test_receive_goes_on_among_hostile_messages():
    stage = Receive(CONFIG)
    for messages in islice(streams(1), 60):
        given = survive(stage, messages)
        assert given["Frame"] > 0
    assert {"lost", "late", "duplicate", "wild_number", "wild_time", "other_stream"} <= set(stage.counters)
