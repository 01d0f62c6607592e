"""Compiled programs are kept where nobody else may write, and never too many."""

import os
import subprocess
import sys

import pytest

from analyse.compiled import _forget, known_options, make_private

TRY = """
import jax
from analyse.compiled import keep_programs
print(keep_programs())
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.jit(lambda x: x * 3 + 1)(1.0)
"""


def test_a_folder_is_made_for_its_user_alone(tmp_path):
    made = make_private(tmp_path / "cache" / "jax", "x")
    assert made.is_dir()
    assert [folder.stat().st_mode & 0o777 for folder in (made, made.parent)] == [0o700, 0o700]
    assert make_private(tmp_path / "cache" / "jax", "x") == made
    made.chmod(0o770)
    with pytest.raises(PermissionError, match="nobody else may write"):
        make_private(tmp_path / "cache" / "jax", "x")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    with pytest.raises(PermissionError, match="nobody else may write"):
        make_private(tmp_path / "link", "x")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(PermissionError, match="anybody may write"):
        make_private(tmp_path / "open" / "jax", "x")


def test_the_oldest_programs_go(tmp_path):
    for age in range(4):
        (tmp_path / str(age)).write_bytes(bytes(100))
        os.utime(tmp_path / str(age), (1e9 - age, 1e9 - age))
    _forget(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_programs_are_kept_unless_told_otherwise(tmp_path):
    pytest.importorskip("jax")

    def run(told):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "RAYSIEVE_"))}
        done = subprocess.run([sys.executable, "-c", TRY], env=env | told, capture_output=True, text=True, check=True)
        return done.stdout.strip(), done.stderr

    said, _ = run({"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert said.startswith(str(tmp_path / "cache" / "raysieve" / "jax"))
    assert any((tmp_path / "cache").rglob("*-cache"))
    assert run({"RAYSIEVE_COMPILED": "off", "XDG_CACHE_HOME": str(tmp_path / "none")})[0] == "None"
    assert not (tmp_path / "none").exists()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    said, warned = run({"RAYSIEVE_COMPILED": str(tmp_path / "open" / "jax")})
    assert (said, "compiled programs are not kept" in warned) == ("None", True)


def test_options_that_a_compiler_does_not_know_are_left_out():
    pytest.importorskip("jax")
    assert known_options({"xla_of_no_compiler": 1}) == {}
    assert known_options({"xla_backend_optimization_level": 1}) == {"xla_backend_optimization_level": 1}
