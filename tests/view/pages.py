"""A view for a browser, and what is looked for on its page. Pictures are kept in out/view."""

import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests.chain.daemon import ROOT, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = ROOT / "out" / "view"
LONG_MS = 120_000
NEEDS_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright's, of its own event loop
]


class View:
    """`raysieve view` on a free port, or on one that it had before."""

    def __init__(self, out, *arguments, port=0, config="quick"):
        command = [sys.executable, "-m", "raysieve", "view", config, "--out", str(out), "--port", str(port)]
        self.process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http\S+/", self.process.stdout.readline())[0]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)


def number(page, where):
    found = re.search(r"\d[\d,]*", page.inner_text(where))
    return int(found[0].replace(",", "")) if found else 0


def rises(page, where):
    """Wait until a number of the page has risen."""
    before = number(page, where)
    wait_for(lambda: number(page, where) > before)


def told(page, where, text):
    """Wait until a part of the page says something."""
    wait_for(lambda: text in (page.text_content(where) or ""), 120)


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
