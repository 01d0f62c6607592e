import numpy as np
import pytest

from sim.lat.cutout_sets import read_set
from sim.lat.cutouts import FAKE, LEAST_SIGMA, SIDE, YEARS, _years
from stream.errors import ConfigError
from tests.sim.lat.cutout_skies import made


def test_sources_and_fakes_are_seen_by_the_same_filter():
    truth, rows = made()
    fake = rows["label"] == FAKE
    assert fake.sum() >= 40
    assert (~fake).sum() > 0.6 * len(truth.sources)
    assert rows["sigma"].min() >= LEAST_SIGMA
    assert (rows["flux"][fake] == 0).all()
    assert (rows["flux"][~fake] > 0).all()


def test_what_is_above_the_background_lies_in_the_middle():
    _, rows = made()
    bright = rows[(rows["label"] != FAKE) & (rows["flux"] > 2e-9)]
    image = bright["counts"][:, 3].sum(axis=(0, 1)).astype(float)  # 2 to 7 GeV
    inner = image[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].sum()
    assert inner / 4 > 2 * (image.sum() - inner) / 32
    middle = np.indices(image.shape)
    mean = [(image * axis).sum() / image.sum() for axis in middle]
    np.testing.assert_allclose(mean, (SIDE - 1) / 2, atol=0.05)
    total = rows["counts"].sum(axis=(2, 3, 4))
    assert np.all(rows["background"] > 0)
    fakes = rows["label"] == FAKE
    ratio = total[fakes].sum(axis=0)[:3] / rows["background"][fakes].sum(axis=0)[:3]
    assert np.all((ratio > 0.95) & (ratio < 1.6))


def test_years_are_shared_out_as_the_source_varies():
    yearly = np.array([np.ones(YEARS), np.eye(YEARS)[3] * YEARS])
    year = _years(yearly, np.repeat([0, 1], 20_000), np.random.default_rng(3))
    assert np.all(year[20_000:] == 3)
    np.testing.assert_allclose(np.bincount(year[:20_000]) / 20_000, 0.1, atol=0.01)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.h5").write_text("no set")
    with pytest.raises(ConfigError, match=r"x\.h5: cannot be read"):
        read_set(tmp_path / "x.h5")
