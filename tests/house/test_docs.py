"""The pages: they build without a broken link, and the README shows the figures that are committed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import pages, seeds

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/tutorials/own_frames.html").is_file()
    loaded = [
        page for page in (tmp_path / "site").rglob("*.html") if re.search(r'<script[^>]+src="https?:', page.read_text())
    ]
    assert not loaded


def test_the_readme_shows_the_committed_figures():
    found = pages.read()
    shown = re.search(r"<!-- figures.*?-->\n(.*?)\n<!-- end -->", (ROOT / "README.md").read_text(), re.S)[1]
    assert shown == pages.table(found)


def test_the_page_of_measurements_shows_the_committed_figures():
    assert (ROOT / "docs/measured.md").read_text() == pages.page(pages.read())


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.stem)
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    missing = [to for to in LINK.findall(text) if not (path.parent / to).exists()]
    assert not missing


def test_the_page_of_the_papers_shows_the_committed_figures():
    assert seeds.filled(seeds.PAGE.read_text()) == seeds.PAGE.read_text()
