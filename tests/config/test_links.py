"""Links beyond this machine need keys."""

import pytest

from config.errors import ConfigError
from config.load import load
from config.schema import is_loopback


def links(host, *more):
    return load("quick", ["links.transport=tcp", f"links.host={host}", *more]).links


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "10.0.0.1", "eth0", "camera.example.org", "::"])
def test_a_host_that_others_reach_needs_keys(host):
    with pytest.raises(ConfigError, match="needs links") as caught:
        links(host)
    assert f"links.host {host}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert links(host, "links.keys=keys").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_this_machine_needs_none(host):
    assert links(host).keys == ""


def test_no_keys_are_needed_without_tcp():
    assert load("quick", ["links.host=0.0.0.0"]).links.transport == "ipc"


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_loopback_of_the_newer_protocol(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "127.1", "localhost.example.org", "127.0.0.1.example.org", "0", "[::]"])
def test_what_only_looks_like_this_machine_is_none(host):
    assert not is_loopback(host)
