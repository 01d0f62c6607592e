import subprocess
import sys
from pathlib import Path

import stream.kernels

CALLER = """from numba import njit
from kernels.called import value

@njit(cache=True)
def call():
    return value()
"""
CALLED = """from numba import njit

@njit(cache=True)
def value():
    return {}
"""


def test_a_kernel_does_not_go_on_with_what_another_one_was(tmp_path):
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_bytes(Path(stream.kernels.__file__).read_bytes())
    (package / "caller.py").write_text(CALLER)
    for number in (1, 2):
        (package / "called.py").write_text(CALLED.format(number))
        command = [sys.executable, "-c", "from kernels.caller import call; print(call())"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert said.stdout.split() == [str(number)]
