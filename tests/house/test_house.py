"""The rules of the house that no linter knows."""

import ast
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import config.load
import stream.wiring
from raysieve import COMMANDS, SECTIONS, cli

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
FILES = [ROOT / name for name in TRACKED.split() if (ROOT / name).is_file()]


def test_imports_come_from_this_checkout():
    assert Path(config.load.__file__).is_relative_to(ROOT)
    assert Path(stream.wiring.__file__).is_relative_to(ROOT)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_configuration_loads(path):
    found = config.load.load_any(path)
    assert found.accumulate_sky.every_s if path.stem == "lat" else found.reconstruct.grades.masks


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert "Example: raysieve" in result.output


def test_a_command_that_is_not_here_is_named_and_the_others_go_on(monkeypatch):
    monkeypatch.setitem(COMMANDS, "view", "no_such_package.commands:view")
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    assert "Not here: No module named 'no_such_package'." in shown.output
    assert "doctor" in shown.output
    fault = CliRunner().invoke(cli, ["view", "wfi", "--port", "0", "--help"]).exception
    assert "view: No module named 'no_such_package'; expected a whole installation" in str(fault)


def leaves(command, words=()):
    """Yield the words of each command below one that are not groups."""
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), (*words, name))


def test_every_command_of_a_group_has_an_example_of_itself():
    silent = []
    for words in leaves(cli):
        shown = " ".join(CliRunner().invoke(cli, [*words, "--help"]).output.split())
        silent += [] if f"Example: raysieve {' '.join(words)}" in shown else [words]
    assert not silent


def test_files_stay_within_the_budget():
    long = [f"{p.name}: {n}" for p in FILES if (n := len(p.read_text().splitlines())) > limit(p)]
    assert not long


def limit(path):
    return 600 if path.relative_to(ROOT).parts[0] in ("tests", "bench") else 400


def test_functions_stay_within_the_budget():
    long = []
    for path in FILES:
        if path.relative_to(ROOT).parts[0] in ("tests", "bench"):
            continue
        budget = 80 if "kernels" in path.parts else 60
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > budget:
                long.append(f"{path.name}:{node.name}")
    assert not long


def test_kernels_elsewhere_are_kept_where_those_of_the_stream_are():
    outside = [
        p for p in FILES if p.relative_to(ROOT).parts[0] not in ("tests", "bench") and p.parent.name != "kernels"
    ]
    assert not [p.name for p in outside if "from numba import" in p.read_text()]


def test_the_readme_names_every_folder_of_the_house():
    readme = (ROOT / "README.md").read_text()
    tops = {p.relative_to(ROOT).parts[0] for p in FILES if len(p.relative_to(ROOT).parts) > 1}
    assert [top for top in sorted(tops) if f"{top}/" not in readme] == []


def test_every_row_of_the_table_can_be_built_and_is_fed():
    rows = stream.wiring.TABLE
    settings = config.load.load("quick")
    assert [stream.wiring.build(row.stage, settings).name for row in rows] == [row.stage for row in rows]
    for process in stream.wiring.processes():
        assert stream.wiring.rows_of(process)[0].link


def test_the_help_has_every_command_once():
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)
    said = CliRunner().invoke(cli, ["--help"]).output
    assert all(f"  {name} " in said for name in COMMANDS)
