"""Two machines on one: network namespaces with a wire between them. Needs root and `ip`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = (f"camera-{os.getpid()}", f"daemon-{os.getpid()}")
ADDRESSES = ("10.77.0.2", "10.77.0.1")
CAMERA, DAEMON = (("ip", "netns", "exec", name) for name in NAMES)  # what runs a command there


def ip(*words: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def possible() -> bool:
    """Return whether namespaces can be made here."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    made = subprocess.run(["ip", "netns", "add", "raysieve-probe"], check=False, capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "del", "raysieve-probe"], check=False, capture_output=True)
    return made


@contextmanager
def two_machines() -> Iterator[None]:
    """Make them: wire0 of the camera is 10.77.0.2, wire1 of the daemon 10.77.0.1."""
    try:
        for name in NAMES:
            ip("netns", "add", name)
        ip("link", "add", "wire0", "netns", NAMES[0], "type", "veth", "peer", "name", "wire1", "netns", NAMES[1])
        for name, wire, address in zip(NAMES, ("wire0", "wire1"), ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", wire)
            for each in (wire, "lo"):
                ip("-n", name, "link", "set", each, "up")
        yield
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
