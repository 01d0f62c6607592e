import numpy as np
import pytest

from config.load import load
from config.schema import QuadrantLayout
from sim.diffusion import SHARED
from sim.mirrors import mirrors_of

WFI = load("wfi").detector


def pixels(n=1000):
    rng = np.random.default_rng(1)
    rows = np.empty(n, SHARED)
    rows["owner"], rows["energy_ev"] = np.arange(n), 1
    rows["quadrant"] = rng.integers(0, 4, n)
    rows["x"], rows["y"] = rng.integers(0, 512, (2, n))
    return rows


def focal(rows):
    origins = {q.id: (q.origin_x_px, q.origin_y_px) for q in WFI.quadrants}
    return np.array(
        [np.add(origins[q], (x, y)) for q, x, y in zip(rows["quadrant"], rows["x"], rows["y"], strict=True)]
    )


def test_the_wfi_has_four_the_first_changes_nothing():
    mirrors = mirrors_of(WFI)
    assert len(mirrors) == 4
    rows = pixels()
    assert np.array_equal(mirrors[0].apply(rows.copy()), rows)


def test_they_mirror_the_focal_plane_about_its_middle():
    rows = pixels()
    before = focal(rows)
    middle = np.array([59 + 632 + 511, 52 + 610 + 511])  # first and last column, first and last row
    for mirror, (in_x, in_y) in zip(mirrors_of(WFI), [(0, 0), (1, 0), (0, 1), (1, 1)], strict=True):
        after = focal(mirror.apply(rows.copy()))
        assert np.array_equal(after[:, 0], middle[0] - before[:, 0] if in_x else before[:, 0])
        assert np.array_equal(after[:, 1], middle[1] - before[:, 1] if in_y else before[:, 1])


def test_twice_is_nothing():
    for mirror in mirrors_of(WFI):
        assert np.array_equal(mirror.apply(mirror.apply(pixels())), pixels())


@pytest.mark.parametrize(("places", "number"), [([(0, 0)], 4), ([(0, 0), (600, 0)], 4), ([(0, 0), (600, 5)], 2)])
def test_only_those_that_the_layout_allows(places, number):
    quadrants = [QuadrantLayout(id=i, origin_x_px=x, origin_y_px=y) for i, (x, y) in enumerate(places)]
    assert len(mirrors_of(WFI.model_copy(update={"quadrants": quadrants}))) == number
