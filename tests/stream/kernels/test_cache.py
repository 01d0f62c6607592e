import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

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


# A process that starts another, as the daemon does.
PARENT = """import subprocess, sys
from kernels.caller import call
subprocess.run([sys.executable, "-c", "from kernels.caller import call; print(call())"], check=True)
"""


@pytest.fixture
def package(tmp_path):
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_bytes(Path(stream.kernels.__file__).read_bytes())
    (package / "caller.py").write_text(CALLER)
    return package


def test_a_kernel_does_not_go_on_with_what_another_one_was(package, tmp_path):
    for number in (1, 2):
        (package / "called.py").write_text(CALLED.format(number))
        command = [sys.executable, "-c", "from kernels.caller import call; print(call())"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert said.stdout.split() == [str(number)]


@pytest.fixture
def nowhere(package, tmp_path):
    """The environment of a user who can write neither beside the kernels nor at home."""
    (package / "called.py").write_text(CALLED.format(1))
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    dead, clean = str(tmp_path / "file" / "below"), {k: v for k, v in os.environ.items() if k != "XDG_CACHE_HOME"}
    return clean | {"NUMBA_CACHE_DIR": dead, "HOME": dead, "TMPDIR": str(tmp_path / "temporary")}


def start(tmp_path, environment):
    command = [sys.executable, "-c", PARENT]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)


def test_where_nothing_can_be_written_kernels_are_kept_in_a_folder_of_the_user_alone(nowhere, tmp_path):
    said = start(tmp_path, nowhere)
    kept = tmp_path / "temporary" / f"raysieve-{os.getuid()}"
    assert said.stdout == "1\n"
    [line] = said.stderr.splitlines()
    assert line.startswith(f"raysieve: {nowhere['NUMBA_CACHE_DIR']}: cannot be written")
    assert line.endswith(str(kept))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert list(kept.rglob("*.nbc"))
    home = tmp_path / "home"
    start(tmp_path, nowhere | {"HOME": str(home)})
    assert list(home.rglob(".cache/raysieve/**/*.nbc"))


@pytest.mark.parametrize("trap", ["open", "link"])
def test_a_folder_that_another_may_have_prepared_is_not_used(nowhere, tmp_path, trap):
    prepared = tmp_path / "temporary" / f"raysieve-{os.getuid()}"
    if trap == "open":
        prepared.mkdir()
        prepared.chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        prepared.symlink_to(tmp_path / "elsewhere")
    assert start(tmp_path, nowhere).stdout == "1\n"
    assert not list(prepared.iterdir())
