"""The commands of the README's first hour are run as they stand there."""

import re
import subprocess
from pathlib import Path

import pytest

from bench.tutorials import environment

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_the_readme_says_to_run_runs(tmp_path):
    (block,) = re.findall(r"<!-- run by tests/tutorials -->\n```\n(.*?)```", README.read_text(), re.S)
    first, *commands = block.splitlines()
    assert first.startswith("source .venv/bin/activate")
    assert len(commands) > 6
    for command in commands:
        done = subprocess.run(
            ["bash", "-euc", command], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert made >= {"obs/events.fits", "obs/image.png", "field/sources.fits", "lat/sky/mission.fits"}
