"""The page in a browser, beside a daemon that runs. Pictures of it are kept in out/view."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from stream.messages import Product
from stream.transport.products import write_coronae
from tests.chain.daemon import ROOT, Daemon, camera, start, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = ROOT / "out" / "view"
HOSTILE = "<img src=x onerror=alert(1)>"
LONG_MS = 120_000
TOKEN = "t" * 40

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright's, of its own event loop
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e '.[dev]'")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a page of some size; at the end, no error must have been said."""
    contexts, said = [], []

    def make(url, width=1280, height=720, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(LONG_MS)
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.goto(url)
        return page

    make.expected = "(?!)"  # what may be said: nothing
    yield make
    for context in contexts:
        context.close()
    assert [line for line in said if not re.search(make.expected, line)] == []


class View:
    """`raysieve view` on a free port, or on one that it had before."""

    def __init__(self, out, *arguments, port=0):
        command = [sys.executable, "-m", "raysieve", "view", "quick", "--out", str(out), "--port", str(port)]
        self.process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http\S+/", self.process.stdout.readline())[0]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("view")
    camera(60, made)
    return made


@pytest.fixture(scope="module")
def running(folder):
    """A daemon that is fed, and its view."""
    out = folder / "out"
    settings = ["--set", "screen.model=islands", "--set", "record.interval_s=1"]
    daemon = Daemon(folder, out, *settings, once=False)
    feed = start("replay", folder / "sky.h5", "--to", daemon.url, "--loop", 100_000, "--rate", 0.25)
    view = View(out, "--set", f"links.directory={folder / 'links'}", *settings)
    yield view, daemon
    view.close()
    for process in (feed, daemon.process):
        process.terminate()
    feed.wait(60)
    daemon.end()


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


def test_the_page_loads_and_its_values_move(running, open_page):
    view, _ = running
    page = open_page(view.url)
    page.wait_for_selector("body[data-ready]")
    for where in ("#newest", "#counts", "#frame-told"):
        rises(page, where)
    assert "running" in page.inner_text("#state")
    assert "X-rays" in page.inner_text("#frame-told")
    assert page.locator("#processes tbody tr").count() == 3
    assert page.locator(".card:visible").count() >= 8
    assert page.locator("#card-sky").is_hidden()
    figures = page.locator(".card:visible .figure")
    for k in range(figures.count()):  # each is drawn when it comes into the window
        figures.nth(k).scroll_into_view_if_needed()
        figures.nth(k).locator("canvas").first.wait_for(state="attached")
    page.evaluate("scrollTo(0, 0)")
    wait_for(lambda: not page.locator(".card.old").count())
    picture(page, "1280x720")


def test_everything_can_be_done_with_keys(running, open_page):
    view, _ = running
    page = open_page(view.url, scheme="dark")
    page.wait_for_selector("body[data-ready]")
    assert page.get_attribute("html", "data-theme") == "dark"
    rises(page, "#counts")
    for key, kind in (("r", "rejected"), ("t", "tracks"), ("x", "xrays")):
        page.keyboard.press(key)
        assert page.is_checked(f"input[value={kind}]")
    page.keyboard.press("l")
    assert not page.is_checked("#log")
    page.select_option("#low", label="6")
    page.select_option("#high", label="2")
    assert page.eval_on_selector("#low", "one => one.selectedOptions[0].text") == "1.5"
    page.keyboard.press("c")
    told(page, "#frame-told", "maps: frames")
    picture(page, "dark")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.keyboard.press("d")
    page.wait_for_selector("html[data-theme=light] body[data-ready]")


def test_it_fits_a_phone(running, open_page):
    view, _ = running
    page = open_page(view.url, 390, 844)
    page.wait_for_selector("body[data-ready]")
    rises(page, "#counts")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "390x844")


def test_names_are_shown_as_they_are(running, open_page):
    view, daemon = running
    table = np.zeros(1, [("NAME", "S40"), ("LOG_T", "<f4"), ("FLAG", "<i4")])
    table["NAME"] = HOSTILE.encode()
    tables = {"CORONAE": table, "LINES": np.zeros(1, [("ION", "S4")])}
    write_coronae(Product(stream="s", kind="coronae", sequence=0, time_ns=0, header={}, tables=tables), daemon.out)
    page = open_page(view.url)
    assert page.locator("#coronae td").first.inner_text() == HOSTILE
    assert page.locator("#coronae img").count() == 0
    (daemon.out / "coronae.fits").unlink()


def test_a_killed_process_turns_red_and_what_replaces_it_does_not(running, open_page):
    view, daemon = running
    page = open_page(view.url)
    page.wait_for_selector("body[data-ready]")
    rises(page, "#newest")
    killed = daemon.status()["detect"]["pid"]
    os.kill(killed, signal.SIGKILL)
    page.wait_for_selector("#processes tr.dead, #processes tr.bad")
    assert page.locator("#processes tr.dead, #processes tr.bad").first.inner_text().startswith("detect")
    assert "detect" in page.inner_text("#alarm")
    picture(page, "killed")
    told(page, "#diary", "killed by signal 9")
    wait_for(lambda: daemon.status()["detect"]["pid"] != killed, 120)
    rises(page, "#newest")


def test_a_view_that_is_away_is_said_and_comes_back(running, open_page):
    _, daemon = running
    open_page.expected = "ERR_CONNECTION"
    other = View(daemon.out, "--set", f"links.directory={daemon.out.parent / 'links'}")
    page = open_page(other.url)
    page.wait_for_selector("body[data-ready]")
    other.close()
    page.wait_for_selector("body.lost")
    assert "no answer" in page.inner_text("#state")
    assert page.locator(".card.old").count() > 0
    picture(page, "lost")
    again = View(daemon.out, "--set", f"links.directory={daemon.out.parent / 'links'}", port=other.port)
    page.wait_for_selector("body:not(.lost)")
    rises(page, "#newest")
    again.close()


def test_without_a_daemon_and_without_a_token(open_page, tmp_path):
    open_page.expected = "401|ERR_CONNECTION"
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ada {TOKEN}\n")
    tokens.chmod(0o600)
    view = View(tmp_path / "out", "--token", str(tokens))
    page = open_page(view.url)
    page.wait_for_selector("#locked[open]")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready]")
    assert "no daemon yet" in page.inner_text("#state")
    assert TOKEN not in page.url
    other = open_page(f"{view.url}#{TOKEN}")
    other.wait_for_selector("body[data-ready]")
    assert TOKEN not in other.url
    time.sleep(0.5)
    view.close()
