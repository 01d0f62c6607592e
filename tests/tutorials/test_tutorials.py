"""Every tutorial is run, as the page says it."""

import shutil
from pathlib import Path

import pytest

from bench import tutorials

PAGES = sorted(tutorials.FOLDER.glob("*.md"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_tutorial_does_what_it_says(path, tmp_path):
    page = path.read_text()
    if tutorials.needs_data(page) and not Path(tutorials.environment()[tutorials.DATA]).is_dir():
        pytest.skip("needs the mission data: RAYSIEVE_DATA or ../shared/data")
    if "raysieve train" in page:
        pytest.importorskip("torch")
    _, steps = tutorials.run_page(page, tmp_path)
    faults = [f"$ {step.command}\n{step.said[-1500:]}" for step in steps if not step.as_expected]
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert steps
    assert not faults, "\n".join(faults)


def test_commands_go_on_behind_a_backslash_and_keep_what_was_said():
    steps = tutorials.steps_of("$ a \\\n> b\nsaid\n$ c\n")
    assert [step.command for step in steps] == ["a \\\nb", "c"]
    assert steps[0].shown == "said\n"


def test_a_command_that_fails_is_a_fault_unless_the_page_says_so(tmp_path):
    page = "```console\n$ echo one && false\n```\n\n```console\n$ echo 'raysieve: no'; (exit 3)\nraysieve: no\n```\n"
    made, steps = tutorials.run_page(page, tmp_path)
    assert [step.as_expected for step in steps] == [False, True]
    assert "$ echo one && false\none\n" in made
