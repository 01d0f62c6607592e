import socket
import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["serve", "view"])
def test_a_port_that_another_has_is_one_line(tmp_path, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = {"serve": ["--folder", tmp_path / "s", "--model", ""], "view": ["quick", "--out", tmp_path]}[command]
        asked = [sys.executable, "-m", "raysieve", command, *map(str, words), "--port", port]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    start = f"raysieve: --host 127.0.0.1 --port {port}: cannot listen there: Address already in use; "
    assert said.stderr == f"{start}expected an own address, a free port\n"
