"""The cost model, from the figures that are in docs/figures."""

import pytest

from bench import pages
from bench.scaling import DETECTORS, FRAME_BYTES, cost, fill, tables


@pytest.fixture(scope="module")
def found():
    return pages.read()


def test_the_rate_that_was_measured_costs_what_was_measured(found):
    measured = cost(800, found)
    for process in ("replay", "detect", "screen", "record"):
        assert getattr(measured, process) == pytest.approx(found["realtime"][f"live, ipc: CPU of {process}"]["value"])
    assert measured.raw_mb_s == pytest.approx(800 * FRAME_BYTES / 1e6)
    assert measured.keys == pytest.approx(0.8 * found["keys"]["tcp with keys: CPU of the reader"]["value"])


def test_costs_are_proportional_and_processes_whole(found):
    one, ten = cost(200, found), cost(2000, found)
    for name, value in one._asdict().items():
        if name in ("daemons", "connections"):
            assert isinstance(value, int)
            assert getattr(ten, name) >= value >= 1
        else:
            assert getattr(ten, name) == pytest.approx(10 * value)


def test_the_table_has_a_column_for_each_detector(found):
    lines = tables(found).splitlines()
    assert {line.count("|") for line in lines} == {len(DETECTORS) + 2}
    assert "| 419 |" in lines[3]  # MB/s of four quadrants at 200 Hz


def test_only_the_block_of_that_name_is_filled():
    page = "a\n<!-- run: made -->\nold\n<!-- end run -->\n<!-- model -->\nm\n<!-- end model -->\n"
    assert fill(page, "run", "new") == page.replace("old", "new")
