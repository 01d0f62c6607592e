"""The processes of one table on two machines: the same event lists as on one."""

import pytest

from tests.chain.daemon import Daemon, raysieve, start, tables
from tests.chain.machines import ADDRESSES, CAMERA, DAEMON, possible, two_machines

pytestmark = pytest.mark.skipif(not possible(), reason="network namespaces need root and ip (Debian: iproute2)")


def test_processes_on_two_machines_give_what_one_gives(folder, tmp_path):
    keys = tmp_path / "keys"
    assert raysieve("keys", keys, "--peer", "camera").returncode == 0
    here = (
        "--set",
        f"links.keys={keys}",
        "--set",
        f"links.hosts.events={ADDRESSES[1]}",
        "--set",
        "links.transport=tcp",
    )
    with two_machines():
        far = Daemon(folder, tmp_path / "far", *here, "--only", "screen", "--only", "record", within=DAEMON)
        near = Daemon(folder, tmp_path / "near", *here, "--only", "detect", within=CAMERA)
        address = "tcp://127.0.0.1:5570"
        sender = start("replay", folder / "sky.h5", "--to", address, "--keys", keys, "--as", "camera", within=CAMERA)
        assert sender.wait(timeout=120) == 0
        code, said = near.end(timeout=120)
        assert code == 0, said
        code, said = far.end(timeout=120)
    assert code == 0, said
    assert "frames: 240 due = 240 recorded + 0 lost" in said
    alone = raysieve("process", folder / "sky.h5", "-c", "quick", "--maps", folder / "maps.h5", "-o", tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    found, expected = tables(tmp_path / "far" / "events.fits"), tables(tmp_path / "one" / "events.fits")
    for name in expected:
        assert found[name].tobytes() == expected[name].tobytes(), name
