import numpy as np
import pytest

from sim.lat.catalogue import YEARS
from sim.lat.cutout_sets import read_set
from sim.lat.cutouts import FAKE, LEAST_SIGMA, SIDE, shared_out
from stream.errors import ConfigError
from tests.sim.lat.cutout_skies import WHOLE, made


def test_sources_and_fakes_are_seen_by_the_same_filter():
    truth, rows = made()
    fake = rows["label"] == FAKE
    assert fake.sum() == 40
    assert (~fake).sum() > 0.6 * len(truth.sources)
    assert rows["sigma"].min() >= LEAST_SIGMA
    assert (rows["flux"][fake] == 0).all()
    assert (rows["flux"][~fake] > 0).all()
    assert np.all((rows["good_s"] > 0).sum(axis=1) == WHOLE)
    assert np.all(rows["counts"][:, :, WHOLE:] == 0)


def test_what_is_above_the_background_lies_in_the_middle():
    _, rows = made()
    bright = rows[(rows["label"] != FAKE) & (rows["flux"] > 2e-9)]
    image = bright["counts"][:, 3].astype(float).sum(axis=(0, 1))  # 2 to 7 GeV
    inner = image[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].sum()
    assert inner / 4 > 2 * (image.sum() - inner) / 32
    middle = np.indices(image.shape)
    mean = [(image * axis).sum() / image.sum() for axis in middle]
    np.testing.assert_allclose(mean, (SIDE - 1) / 2, atol=0.08)


def test_the_background_is_that_of_the_diffuse_light_around():
    _, rows = made()
    total = rows["counts"].astype(float).sum(axis=(2, 3, 4))
    assert np.all(rows["background"] > 0)
    fakes = rows["label"] == FAKE
    ratio = np.median(total[fakes] / rows["background"][fakes], axis=0)[:3]
    assert np.all((ratio > 0.95) & (ratio < 1.3))


def test_years_are_shared_out_as_the_source_varies():
    yearly = np.array([np.ones(YEARS), np.eye(YEARS)[3] * YEARS])
    year = shared_out(yearly, np.repeat([0, 1], 20_000), np.random.default_rng(3))
    assert np.all(year[20_000:] == 3)
    np.testing.assert_allclose(np.bincount(year[:20_000]) / 20_000, 0.1, atol=0.01)
    assert set(shared_out(yearly[:1, :2], np.zeros(100, int), np.random.default_rng(3))) == {0, 1}


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.h5").write_text("no set")
    with pytest.raises(ConfigError, match=r"x\.h5: cannot be read"):
        read_set(tmp_path / "x.h5")
