"""The daemon over sockets: equal to the batch job, and whole after every fault."""

import itertools
import json
import signal
import socket
import urllib.request

import msgpack
import pytest
import zmq
from astropy.io import fits
from zmq.auth import load_certificate

from stream.messages import Start
from stream.transport.link import Push
from stream.transport.recording import Recording
from stream.transport.tap import Onlooker
from tests.chain.daemon import READOUTS, TABLES, Daemon, raysieve, start, tables, wait_for


@pytest.fixture(scope="module")
def batch(folder):
    done = raysieve(
        "process", folder / "sky.h5", "-c", "quick", "--maps", folder / "maps.h5", "--out", folder / "batch"
    )
    assert done.returncode == 0, done.stderr
    return tables(folder / "batch" / "events.fits")


def assert_equal(found, expected):
    for name in TABLES:
        assert found[name].tobytes() == expected[name].tobytes(), name


def replay(folder, url, *arguments):
    done = raysieve("replay", folder / "sky.h5", "--to", url, "--rate", "max", *arguments)
    assert done.returncode == 0, done.stderr


def test_the_socket_pipeline_equals_the_batch_job_bit_for_bit(folder, batch, tmp_path):
    daemon = Daemon(folder, tmp_path)
    replay(folder, daemon.url)
    assert daemon.end()[0] == 0
    assert len(batch["EVENTS"]) > 100
    assert_equal(tables(tmp_path / "events.fits"), batch)


def test_who_looks_on_and_reads_nothing_changes_nothing(folder, batch, tmp_path):
    daemon = Daemon(folder, tmp_path)
    with Onlooker(f"ipc://{folder}/links/tap.sock", queue=4) as onlooker:
        assert onlooker.receive(0.2) is None  # it has asked, and reads no more
        replay(folder, daemon.url)
        code, said = daemon.end()
        assert code == 0, said
        assert_equal(tables(tmp_path / "events.fits"), batch)
        assert isinstance(onlooker.receive(30), Start)  # it was told all the same


def test_over_tcp_too(folder, batch, tmp_path):
    daemon = Daemon(folder, tmp_path, "--set", "links.transport=tcp", "--set", "links.first_port=35570")
    replay(folder, "tcp://127.0.0.1:35570")
    assert daemon.end()[0] == 0
    assert_equal(tables(tmp_path / "events.fits"), batch)


def test_over_tcp_with_keys_and_nobody_else(folder, batch, tmp_path):
    keys, url = tmp_path / "keys", "tcp://127.0.0.1:35580"
    made = raysieve("keys", keys)
    settings = ("links.transport=tcp", "links.host=0.0.0.0", "links.first_port=35580", f"links.keys={keys}")
    daemon = Daemon(folder, tmp_path / "out", *(word for setting in settings for word in ("--set", setting)))
    stranger = raysieve("replay", folder / "sky.h5", "--to", url, "--rate", "max", "--wait", "10")
    assert stranger.returncode == 1
    assert f"{url}: refused by the reader" in stranger.stderr
    replay(folder, url, "--keys", keys)
    code, said = daemon.end()
    assert code == 0
    assert_equal(tables(tmp_path / "out" / "events.fits"), batch)
    status = daemon.status()
    assert status["detect"]["source"]["refused_peers"] >= 1
    assert all("refused_peers" not in status[name]["source"] for name in ("screen", "record"))
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    texts = [text.encode() for text in (made.stdout, made.stderr, said, stranger.stdout, stranger.stderr)]
    for name in ("daemon", "camera"):
        _, secret = load_certificate(keys / f"{name}.key_secret")
        assert not any(secret in text for text in (*texts, *written))


def test_garbage_on_the_socket_costs_no_good_frame(folder, batch, tmp_path):
    daemon = Daemon(folder, tmp_path)
    context = zmq.Context()
    rogue = context.socket(zmq.PUSH)
    rogue.connect(daemon.url)
    header = msgpack.packb({"kind": "frame", "version": 99})
    for parts in ([b"garbage"], [b""], [header, b"\0" * 8192], [b"\xff" * 100_000]):
        rogue.send_multipart(parts)
    rogue.close()
    context.term()
    wait_for(lambda: sum(daemon.status()["detect"]["source"].values()) >= 4)
    replay(folder, daemon.url)
    assert daemon.end()[0] == 0
    assert_equal(tables(tmp_path / "events.fits"), batch)


def test_sigterm_drains_what_was_accepted(folder, tmp_path):
    daemon = Daemon(folder, tmp_path, once=False)
    push = Push(daemon.url, queue=64, bind=False)
    with Recording(folder / "sky.h5") as recording:
        for message in itertools.islice(recording.messages(), 161):  # Start and 40 read-outs, and no End
            assert push.send(message, timeout_s=10)
        push.close()
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.end()[0] == 0
    (path,) = tmp_path.glob("*/events.fits")
    assert len(tables(path)["FRAMES"]) == 160
    assert fits.getval(path, "EXPOSURE", 1) == pytest.approx(40 * 0.005)


def test_sigterm_ends_the_daemon_while_frames_still_come(folder, tmp_path):
    daemon = Daemon(folder, tmp_path, once=False)
    camera_process = start("replay", folder / "sky.h5", "--to", daemon.url, "--loop", "1000", "--wait", "2")
    wait_for(lambda: daemon.status()["record"]["counters"].get("in_EventList", 0) > 20)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.end()[0] == 0
    camera_process.kill()
    camera_process.wait()
    (path,) = tmp_path.glob("*/events.fits")
    found = tables(path)
    frames = len(found["FRAMES"])
    assert frames > 80
    assert fits.getval(path, "LIVETIME", 1) == pytest.approx(frames / 4 * 0.005)


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_top_and_prometheus_see_the_daemon(folder, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon = Daemon(folder, tmp_path, "--metrics-port", str(port), once=False)
    replay(folder, daemon.url)
    taken = f'raysieve_messages_in_total{{kind="EventList",process="record"}} {READOUTS}.0\n'
    wait_for(lambda: taken in (text := scrape(port)) and 'raysieve_waiting_messages{process="record"} 0.0\n' in text)
    daemon.process.send_signal(signal.SIGTERM)
    code, said = daemon.end()
    assert code == 0
    assert f"metrics at http://127.0.0.1:{port}/metrics" in said
    found = json.loads(raysieve("top", tmp_path, "--json").stdout)
    assert {status["state"] for status in found.values()} == {"finished"}
    assert len({status["configuration"] for status in found.values()}) == 1
    assert [status["waiting"] for status in found.values()] == [None, 0, 0]


def test_a_second_stream_gets_a_folder_of_its_own(folder, tmp_path):
    daemon = Daemon(folder, tmp_path, once=False)
    replay(folder, daemon.url)
    wait_for(lambda: len(list(tmp_path.glob("*/events.fits"))) == 1)
    replay(folder, daemon.url)
    wait_for(lambda: len(list(tmp_path.glob("*/events.fits"))) == 2)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.end()[0] == 0
