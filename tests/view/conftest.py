import re
import shutil

import pytest

from tests.stream.daemons import write_statuses
from tests.view.pages import CHROMIUM, LONG_MS


@pytest.fixture(scope="session")
def _statuses(tmp_path_factory):
    made = tmp_path_factory.mktemp("statuses")
    write_statuses(made)
    return made


@pytest.fixture
def out(_statuses, tmp_path):
    """The folder of a daemon that has ended, with its statuses."""
    shutil.copytree(_statuses / ".status", tmp_path / ".status")
    return tmp_path


@pytest.fixture(scope="session")
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
    assert "\n".join(line for line in said if not re.search(make.expected, line)) == ""
