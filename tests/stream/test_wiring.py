import itertools

import pytest

from config.errors import ConfigError
from config.load import load
from stream.transport.wire import Limits
from stream.wiring import TABLE, limits_of, link_after, processes, rows_of, url_of

CONFIG = load("wfi")


def test_every_process_but_the_last_feeds_the_next():
    names = processes()
    assert link_after(names[-1]) is None
    for name, after in itertools.pairwise(names):
        assert link_after(name) == rows_of(after)[0]


def test_addresses_are_loopback_by_default_and_differ():
    tcp = CONFIG.links.model_copy(update={"transport": "tcp"})
    links = [row.link for row in TABLE if row.link]
    assert [url_of(link, tcp) for link in links] == [f"tcp://127.0.0.1:{port}" for port in (5570, 5571, 5572)]
    assert len({url_of(link, CONFIG.links) for link in links}) == len(links)
    assert all(url_of(link, CONFIG.links).startswith("ipc:///") for link in links)


def test_only_the_frames_come_from_beyond_this_machine():
    tcp = CONFIG.links.model_copy(update={"transport": "tcp", "host": "0.0.0.0", "keys": "keys"})
    hosts = [url_of(row.link, tcp).rpartition(":")[0] for row in TABLE if row.link]
    assert hosts == ["tcp://0.0.0.0", "tcp://127.0.0.1", "tcp://127.0.0.1"]


def test_links_between_machines_are_named_one_by_one():
    far = {"transport": "tcp", "keys": "keys", "hosts": {"events": "10.0.0.2"}}
    tcp = CONFIG.links.model_copy(update=far)
    hosts = [url_of(row.link, tcp).rpartition(":")[0] for row in TABLE if row.link]
    assert hosts == ["tcp://127.0.0.1", "tcp://10.0.0.2", "tcp://127.0.0.1"]
    wrong = tcp.model_copy(update={"hosts": {"frames": "10.0.0.2", "other": "10.0.0.3"}})
    with pytest.raises(ConfigError, match=r"links.hosts: no link frames, other .*expected events or screened"):
        url_of("events", wrong)
    with pytest.raises(ConfigError, match=r"links.hosts.events 10.0.0.2 is open to other machines: needs links.keys"):
        load("wfi", ["links.transport=tcp", "links.hosts.events=10.0.0.2"])
    with pytest.raises(ConfigError, match=r"links.hosts: other machines are reached by tcp only"):
        load("wfi", ["links.keys=keys", "links.hosts.events=10.0.0.2"])


def test_what_the_camera_may_send_is_bounded_by_its_frame():
    first, *inside = [limits_of(row.link, CONFIG) for row in TABLE if row.link]
    assert first.max_part_bytes == 4 * 512 * 512 * 4
    assert limits_of(TABLE[0].link, load("quick")).max_part_bytes == 1 << 20
    assert all(limits == Limits() for limits in inside)


def test_the_table_reads_in_the_order_of_the_data():
    assert [row.stage for row in TABLE] == ["receive", "correct", "reconstruct", "screen", "record"]
    assert all(row.queue > 0 and row.when_full == "block" for row in TABLE if row.link)
