import numpy as np
import pytest

from stream.errors import ConfigError
from stream.imaging.regions import OVERLAPS, UNEXPOSED, Region, Regions, Shape, measure_regions
from stream.transport.regions import read_regions

FILE = """# Region file format: DS9 version 4.1
global color=green
image
circle(11,21,3) # text={one}
annulus(11,21,6,9) # background
ellipse(31,21,4,2,90) # text={two}
-box(31,21,2,2,0)
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "ds9.reg").write_text(FILE)
    return tmp_path / "ds9.reg"


def test_ds9_counts_pixels_from_one_and_the_image_from_zero(path):
    regions = read_regions(path)
    assert [region.name for region in regions.sources] == ["one", "two"]
    assert regions.sources[0].shape == Shape("circle", (10.0, 20.0, 3.0))
    assert regions.background == (Shape("annulus", (10.0, 20.0, 6.0, 9.0)),)
    assert regions.excluded[0].kind == "box"


def test_counts_pixels_and_exposure_are_those_of_a_plain_count(path):
    regions, rng = read_regions(path), np.random.default_rng(1)
    exposure = rng.uniform(1, 2, (40, 50))
    exposure[19, 9] = 0.0
    x, y = rng.uniform(-1, 50, 3000), rng.uniform(-1, 40, 3000)
    channel = rng.integers(-1, 6, 3000)
    table = measure_regions(regions, exposure, (x, y), channel, 5)
    for row, region in zip(table, regions.sources, strict=True):
        pixels = [
            (r, c) for r in range(40) for c in range(50)
            if exposure[r, c] > 0 and region.shape.inside(np.float64(c), np.float64(r))
            and not (abs(c - 30) <= 1 and abs(r - 20) <= 1)
        ]  # fmt: skip
        assert row["BACKSCAL"] == len(pixels)
        assert row["EXPOSURE"] == pytest.approx(np.mean([exposure[p] for p in pixels]))
        inside = [(round(b), round(a)) in set(pixels) for a, b in zip(x, y, strict=True)]
        assert row["COUNTS"].tolist() == [int(np.sum(inside & (channel == k))) for k in range(5)]
        assert row["FLAG"] == 0
    assert (table["BACK_BACKSCAL"] > 100).all()


def test_overlapping_and_unexposed_regions_are_flagged():
    two = Regions(tuple(Region(n, Shape("circle", (x, 5.0, 3.0))) for n, x in (("a", 5.0), ("b", 8.0), ("c", 90.0))))
    table = measure_regions(two, np.ones((20, 20)), (np.zeros(0), np.zeros(0)), np.zeros(0, np.int64), 3)
    assert table["FLAG"].tolist() == [OVERLAPS, OVERLAPS, UNEXPOSED]
    assert not len(measure_regions(Regions(), np.ones((4, 4)), (np.zeros(0),) * 2, np.zeros(0, np.int64), 3))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image\ncircle(1,2)", r"line 2: circle: expected 3 numbers, radii above 0"),
        ("image\npolygon(1,2,3,4,5,6)", r"expected circle, ellipse, box, annulus"),
        ("fk5\ncircle(1,2,3)", r"coordinates fk5: expected image or physical"),
        ("circle(1,2,3)", r"coordinates not given"),
        ("image\ncircle(1,2,3) # background", r"no source region"),
        ("image\ncircle(1,2,3) # text={../x}", r"it names a file"),
        ("image\ncircle(1,2,3) # text={a}\ncircle(9,2,3) # text={a}", r"two regions of one name"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path, text, why):
    (tmp_path / "x.reg").write_text(text)
    with pytest.raises(ConfigError, match=why) as refusal:
        read_regions(tmp_path / "x.reg")
    assert "\n" not in str(refusal.value)
