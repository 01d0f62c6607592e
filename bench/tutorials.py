"""The tutorials: every command of docs/tutorials/*.md is run, and its output is what the page shows.

`python -m bench.tutorials [NAME...]` writes the outputs anew; `tests/tutorials/test_tutorials.py` runs the same pages.
A page is run in an empty folder. Blocks `console` hold commands behind "$ " and what they said; blocks of another
language with a title are files. Where a line begins with "raysieve:" its command has to fail, all others not to.
An HTML comment before a block, `<!-- keep N -->`, shows no more than N lines of each output.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "docs/tutorials"
BLOCK: Final = re.compile(r"(?:<!-- keep (?P<keep>\d+) -->\n)?```(?P<how>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
TITLE: Final = re.compile(r'title="([\w./-]+)"')
DATA: Final = "RAYSIEVE_DATA"  # the folder of mission data
REFUSAL: Final = "raysieve:"
MARK: Final = "@@ raysieve tutorial @@"
ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LIMIT_S: Final = 550


@dataclass(slots=True)
class Step:
    """A command of a block, what the page says of it, and what it says now."""

    command: str
    shown: str = ""
    said: str = ""
    code: int = 0

    @property
    def as_expected(self) -> bool:
        expected, refused = (
            any(line.startswith(REFUSAL) for line in text.splitlines()) for text in (self.shown, self.said)
        )
        return (self.code != 0) == expected == refused


def steps_of(text: str) -> list[Step]:
    """Return the commands of a block, in order. A command goes on behind a backslash."""
    steps: list[Step] = []
    going_on = False
    for line in text.splitlines():
        if going_on:
            steps[-1].command += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            steps.append(Step(line[2:]))
        elif steps:
            steps[-1].shown += line + "\n"
        going_on = bool(steps) and steps[-1].command.endswith("\\") and not steps[-1].shown
    return steps


def run_block(steps: list[Step], where: Path) -> None:
    """Run commands in one shell, so that what goes on behind `&` is known to those after it."""
    lines = [f"{step.command}\ncode=$?; echo; echo '{MARK}' $code" for step in steps]
    shell = subprocess.Popen(
        ["bash", "-uc", "\n".join(lines)], cwd=where, env=environment(), stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    alarm = threading.Timer(LIMIT_S, os.killpg, (shell.pid, signal.SIGKILL))
    alarm.start()
    said, _ = shell.communicate()
    alarm.cancel()
    parts = re.split(rf"^{MARK} (\d+)\n", said, flags=re.M)
    for k, step in enumerate(steps):
        step.said, step.code = (parts[2 * k], int(parts[2 * k + 1])) if 2 * k + 1 < len(parts) else (said, 1)


def environment() -> dict[str, str]:
    """Return what commands see: this installation, a plain terminal, where mission data lie."""
    data = os.environ.get(DATA, str(FOLDER.parents[2] / "shared/data"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COLUMNS": "110", "TERM": "dumb", "NO_COLOR": "1", DATA: data}


def lines_of(said: str, where: Path, keep: int | None) -> str:
    """Return an output as a page shows it: no control characters, no folder of this run, not too long."""
    data = environment()[DATA]
    plain = (
        ESCAPES.sub("", said).replace(f"{where}/", "").replace(data, f"${DATA}").replace(f"{FOLDER.parents[1]}/", "")
    )
    lines = [line.split("\r")[-1].rstrip() for line in plain.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if keep is not None and len(lines) > keep:
        lines = [*lines[: keep - 1], "..."]
    return "".join(f"{line}\n" for line in lines)


def needs_data(page: str) -> bool:
    """Return whether a page reads mission data."""
    return f"${DATA}" in page


def run_page(page: str, where: Path) -> tuple[str, list[Step]]:
    """Run a page in an empty folder; return it with its outputs as they are now, and every step."""
    everything: list[Step] = []

    def block(found: re.Match[str]) -> str:
        how, text = found["how"].strip(), found["text"]
        if title := TITLE.search(how):
            (where / title[1]).write_text(text)
        if not how.startswith("console"):
            return found[0]
        steps = steps_of(text)
        run_block(steps, where)
        everything.extend(steps)
        keep = int(found["keep"]) if found["keep"] else None
        made = "".join(f"$ {step.command}\n{lines_of(step.said, where, keep)}" for step in steps)
        return found[0].replace(text, made)

    return BLOCK.sub(block, page), everything


def main() -> None:
    """Run the named pages, or all, and write their outputs into them."""
    pages = [FOLDER / f"{name}.md" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.md"))
    for path in pages:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            page, steps = run_page(path.read_text(), Path(folder))
        faults = [step for step in steps if not step.as_expected]
        if not faults:
            path.write_text(page)
        print(f"{path.name}: {len(steps)} commands, {time.monotonic() - begun:.0f} s, {len(faults)} not as expected")
        for step in faults:
            print(f"  $ {step.command}\n{step.said[-2000:]}")


if __name__ == "__main__":
    main()
