"""docs/lat.md and the README say what is in docs/figures."""

import re

import pytest

from bench import pages
from bench.lat import __main__ as lat
from bench.lat import page


def test_the_page_of_the_gamma_ray_sky_is_that_of_its_figures():
    text = page.PAGE.read_text()
    assert page.filled(text) == text, "python -m bench.lat.page"


@pytest.mark.parametrize("name", page.BLOCKS)
def test_every_table_is_in_the_page_and_whole(name):
    block = re.search(rf"<!-- {name}: made by .*?-->\n(.*?)<!-- end {name} -->", page.PAGE.read_text(), re.DOTALL)
    assert block
    rows = [re.sub(r"\\\|", "", line) for line in block[1].splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert "not measured yet" not in block[1]


def test_the_figures_of_the_readme_are_there_and_shown():
    found = pages.read()
    assert pages.table(found) in (pages.ROOT / "README.md").read_text(), "python -m bench.pages"


def test_every_part_of_the_benches_is_a_command():
    for part in lat.PARTS:
        assert '__name__ == "__main__"' in (pages.ROOT / "bench" / "lat" / f"{part}.py").read_text()
