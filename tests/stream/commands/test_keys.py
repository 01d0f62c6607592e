import pytest
from click.testing import CliRunner
from zmq.auth import load_certificate

from raysieve import cli
from stream.errors import ConfigError, LinkError
from stream.transport.keys import create_keys, daemon_keys
from stream.transport.link import Pull
from stream.transport.recording import RecordingWriter
from tests.stream.stages.streams import START, frame


def called(*arguments):
    return CliRunner().invoke(cli, list(map(str, arguments)))


@pytest.fixture
def recording(tmp_path):
    with RecordingWriter(tmp_path / "r.h5", START) as writer:
        for n in range(3):
            writer.write(frame(n, 0))
    return tmp_path / "r.h5"


def test_it_says_what_goes_where_and_no_key(tmp_path):
    done = called("keys", tmp_path / "keys", "--peer", "camera", "--peer", "lab")
    assert [line.split(":")[0] for line in done.output.splitlines()] == ["daemon", "camera", "lab"]
    for name in ("daemon", "camera", "lab"):
        public, secret = load_certificate(tmp_path / "keys" / f"{name}.key_secret")
        assert public.decode() not in done.output
        assert secret.decode() not in done.output


def test_one_peer_if_none_is_named(tmp_path):
    called("keys", tmp_path / "keys")
    assert [path.name for path in (tmp_path / "keys" / "peers").iterdir()] == ["camera.key"]


def test_a_second_time_is_refused(tmp_path):
    called("keys", tmp_path / "keys")
    done = called("keys", tmp_path / "keys")
    assert isinstance(done.exception, ConfigError)
    assert "never written over" in str(done.exception)


def test_replay_sends_as_a_peer(recording, tmp_path):
    create_keys(tmp_path / "keys", ["lab"])
    with Pull("tcp://127.0.0.1:*", queue=64, bind=True, keys=daemon_keys(tmp_path / "keys", inside=False)) as reader:
        send = ("replay", recording, "--to", reader.url, "--rate", "max", "--keys", tmp_path / "keys")
        assert called(*send, "--as", "lab").exit_code == 0
        assert [type(reader.receive(10)).__name__ for _ in range(5)] == ["Start", "Frame", "Frame", "Frame", "End"]
        done = called(*send)
    assert str(done.exception).startswith(f"{tmp_path}/keys/camera.key_secret: no such key")


def test_replay_to_another_machine_needs_keys(recording):
    done = called("replay", recording, "--to", "tcp://10.0.0.1:5570")
    assert isinstance(done.exception, LinkError)
    assert str(done.exception).startswith("tcp://10.0.0.1:5570: cannot connect: expected ")


def test_a_simulated_camera_needs_them_too():
    done = called("simulate", "live", "--config", "quick", "--to", "tcp://10.0.0.1:5570")
    assert isinstance(done.exception, LinkError)
    assert "raysieve keys" in str(done.exception)
