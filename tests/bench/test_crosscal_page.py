"""docs/crosscal.md says what is in docs/figures."""

import re

import pytest

from bench.crosscal import page


def test_the_page_of_cross_calibration_is_that_of_its_figures():
    text = page.PAGE.read_text()
    assert page.filled(text) == text, "python -m bench.crosscal.page"


@pytest.mark.parametrize("name", page.BLOCKS)
def test_every_table_is_in_the_page(name):
    block = re.search(rf"<!-- {name}: made by .*?-->\n(.*?)<!-- end {name}: -->", page.PAGE.read_text(), re.DOTALL)
    assert block
    assert block[1].count("|") > 10
