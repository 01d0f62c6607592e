"""The way of packets to the ground, with faults as asked for."""

import numpy as np
import pytest

from sim.commands.telemetry import BadLink, flip
from sim.seeds import Seeds
from stream.errors import ConfigError

PACKETS = [bytes([n % 256, n // 256]) * 20 for n in range(2000)]


def through(link: BadLink) -> list[bytes]:
    return [arrived for packet in PACKETS for arrived in link(packet)]


def test_a_good_link_changes_nothing():
    link = BadLink(0, 0, 0, Seeds(0))
    assert through(link) == PACKETS
    assert {name: n for name, n in link.counters.items() if n} == {"sent": 2000}


def test_the_counters_say_what_was_done():
    link = BadLink(0.1, 0.05, 0.02, Seeds(1))
    arrived = through(link)
    counted = link.counters
    assert len(arrived) == 2000 - counted["lost"] + counted["doubled"]
    strangers = {packet for packet in arrived if packet not in PACKETS}
    assert len(strangers) == counted["damaged"]
    for name, chance in (("lost", 0.1), ("doubled", 0.05 * 0.9), ("damaged", 0.02 * 0.9)):
        assert abs(counted[name] - 2000 * chance) < 5 * np.sqrt(2000 * chance)


def test_the_same_seed_does_the_same():
    assert through(BadLink(0.1, 0.1, 0.1, Seeds(4))) == through(BadLink(0.1, 0.1, 0.1, Seeds(4)))
    assert through(BadLink(0.1, 0.1, 0.1, Seeds(4))) != through(BadLink(0.1, 0.1, 0.1, Seeds(5)))


def test_one_bit_is_flipped():
    assert flip(b"\0\0", 9) == b"\0\2"


def test_a_chance_is_between_0_and_1():
    with pytest.raises(ConfigError, match=r"link: expected lose in 0\.\.1"):
        BadLink(1.5, 0, 0, Seeds(0))
