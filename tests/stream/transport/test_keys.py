"""Keys are made once, for their user alone, and what is wrong with them is named without showing them."""

import os
import stat

import pytest

from stream.errors import ConfigError
from stream.transport.keys import create_keys, daemon_keys, peer_keys


@pytest.fixture
def folder(tmp_path):
    create_keys(tmp_path / "keys", ["camera", "lab"])
    return tmp_path / "keys"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_files_are_for_the_user_alone(folder):
    assert names(folder) == [
        "camera.key_secret",
        "daemon.key",
        "daemon.key_secret",
        "lab.key_secret",
        "peers/camera.key",
        "peers/lab.key",
    ]
    assert {mode(path) for path in (folder, folder / "peers")} == {0o700}
    assert {mode(folder / name) for name in names(folder)} == {0o600}


def test_the_mask_of_the_process_stays(folder):
    before = os.umask(0o022)
    os.umask(before)
    with pytest.raises(ConfigError):
        create_keys(folder, ["camera"])
    assert os.umask(before) == before


def test_the_ends_know_each_other(folder):
    daemon, camera, lab = daemon_keys(folder, inside=False), peer_keys(folder, "camera"), peer_keys(folder, "lab")
    assert camera.daemon == lab.daemon == daemon.public
    assert daemon.allowed == {camera.public, lab.public}
    assert len({key.secret for key in (daemon, camera, lab)}) == 3


def test_between_the_processes_only_the_daemon_may_send(folder):
    daemon = daemon_keys(folder, inside=True)
    assert daemon.allowed == {daemon.public} == {daemon.daemon}


def test_a_peer_may_be_added_and_removed(folder):
    daemon = daemon_keys(folder, inside=False)
    assert create_keys(folder, ["second"]) == ["second"]
    (folder / "peers" / "lab.key").unlink()
    later = daemon_keys(folder, inside=False)
    assert later.secret == daemon.secret
    assert later.allowed == {peer_keys(folder, name).public for name in ("camera", "second")}


@pytest.mark.parametrize("kept", ["camera.key_secret", "peers/camera.key"])
def test_keys_are_never_written_over(folder, kept):
    for name in {"camera.key_secret", "peers/camera.key"} - {kept}:
        (folder / name).unlink()
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    with pytest.raises(ConfigError, match=f"{kept}: is there already"):
        create_keys(folder, ["third", "camera"])
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


@pytest.mark.parametrize("name", ["", "../x", "a/b", "daemon", ".hidden", "two words", "x" * 65])
def test_names_that_are_no_file_names_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="expected letters, digits"):
        create_keys(tmp_path / "keys", [name])
    assert not (tmp_path / "keys").exists()


def test_a_folder_that_others_can_read_is_refused(tmp_path):
    (tmp_path / "keys").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="keys: open to others: expected mode 700"):
        create_keys(tmp_path / "keys", ["camera"])
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/keys: cannot be written"):
        create_keys(tmp_path / "file" / "keys", ["camera"])


def test_a_secret_file_that_others_can_read_is_refused(folder):
    (folder / "daemon.key_secret").chmod(0o640)
    with pytest.raises(ConfigError, match=r"daemon\.key_secret: open to others: expected mode 600"):
        daemon_keys(folder, inside=False)


def test_a_daemon_without_peers_is_refused(folder):
    for path in (folder / "peers").iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match=r"peers: expected the \*\.key of at least one peer"):
        daemon_keys(folder, inside=True)


@pytest.mark.parametrize("text", [None, "", 'public-key = "short"', "\0\xff", 'public-key = "' + "'" * 40 + '"'])
@pytest.mark.parametrize("name", ["daemon.key_secret", "peers/lab.key"])
def test_damaged_keys_are_named(folder, name, text):
    path = folder / name
    secret = daemon_keys(folder, inside=False).secret.decode()
    path.unlink() if text is None else path.write_text(text)
    if text is None and name.startswith("peers"):
        return  # that is how a peer is removed
    with pytest.raises(ConfigError, match=name) as caught:
        daemon_keys(folder, inside=False)
    assert secret not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_file_without_the_secret_is_named(folder):
    path = folder / "daemon.key_secret"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "secret-key" not in line))
    with pytest.raises(ConfigError, match=r"daemon\.key_secret: no secret key in it"):
        daemon_keys(folder, inside=False)


def test_no_text_shows_the_secret(folder):
    for keys in (daemon_keys(folder, inside=False), peer_keys(folder, "camera")):
        assert keys.secret.decode() not in f"{keys} {keys!r}"
