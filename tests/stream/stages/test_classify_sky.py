from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from config.lat import AccumulateSky as Counted
from config.lat import ClassifySky as Section
from stream.errors import ModelError
from stream.lat.bands import BANDS, DETECTION
from stream.lat.builtin import stand_in
from stream.lat.cube import YEAR_NSIDE, Sky
from stream.lat.photons import BLOCK_S
from stream.messages import End, Product
from stream.process_sky import SkySink
from stream.stages.accumulate_sky import AccumulateSky, SkyProduct
from stream.stages.classify_sky import CLASSES, ClassifySky, classes_in
from stream.transport.lat_diffuse import read_diffuse
from tests.stream.lat.skies import stream

INSTRUMENT = stand_in()
KINDS = ("BLL", "FSRQ", "PSR", "PWN", "FAKE")


@pytest.fixture(scope="module")
def stage():
    return ClassifySky(Section(model="lat_cutouts"), INSTRUMENT, read_diffuse(None, None))


@pytest.fixture
def sky():
    """Return the product "sky" of ten windows, its years replaced by three whole ones."""
    product = next(iter(AccumulateSky(Counted(exposure="survey"), INSTRUMENT).process(first())))
    rng = np.random.default_rng(1)
    years = Sky()
    years.years = {k: rng.poisson(2.0, (BANDS, 12 * YEAR_NSIDE**2)).astype(np.uint16) for k in range(3)}
    years.years_s = dict.fromkeys(range(3), 2.4e7)
    return replace(product, sky=years)


def first():
    return list(stream(2000, BLOCK_S)[1].messages())[1]


def detections(n=3, window="mission"):
    rows = np.zeros(n, DETECTION)
    rows["glon_deg"], rows["glat_deg"], rows["ts"] = 40.0 * np.arange(n), 50.0, 30.0
    header = {"WINDOW": window, "TSTART": 0.0, "TSTOP": 1e8}
    return Product(stream="lat", kind="detections", sequence=1, time_ns=0, header=header, tables={"DETECTIONS": rows})


def test_the_mission_has_classes(stage, sky):
    given = detections()
    assert list(stage.process(sky)) == [sky]
    (told,) = stage.process(given)
    assert told.tables["DETECTIONS"] is given.tables["DETECTIONS"]
    assert told.tables[CLASSES].dtype.names == tuple(f"P_{name}" for name in KINDS)
    classes = classes_in(told)
    assert tuple(classes) == KINDS
    np.testing.assert_allclose(sum(classes.values()), 1, atol=1e-5)
    assert "lat_cutouts" in told.header["CLASSES"]
    assert stage.counters["classified"] == 3
    assert list(stage.process(given)) == [given]  # of another sky, which did not come
    assert list(stage.flush()) == []


def test_one_year_tells_nothing_and_that_is_said(stage, sky):
    before = stage.counters["without_light_curve"]
    del sky.sky.years[0]
    sky.sky.years_s[1] = 1e6
    stage.process(sky)
    (told,) = stage.process(detections())
    assert all(np.isnan(p).all() for p in classes_in(told).values())
    assert stage.counters["without_light_curve"] == before + 1


def test_what_shines_steadily_in_one_place_is_no_fake(stage, sky):
    import astropy_healpix.healpy as hp

    lon, lat = hp.pix2ang(YEAR_NSIDE, np.arange(12 * YEAR_NSIDE**2), lonlat=True)
    apart = np.hypot((lon - 40.0) * np.cos(np.radians(50)), lat - 50.0)
    rng = np.random.default_rng(2)
    for year in sky.sky.years.values():
        for band, width in enumerate((2.0, 1.2, 0.7, 0.4, 0.2, 0.15)):
            shape = np.exp(-((apart / width) ** 2) / 2)
            year[band] += rng.poisson((600, 500, 400, 300, 60, 30)[band] * shape / shape.sum()).astype(np.uint16)
    stage.process(sky)
    (told,) = stage.process(detections())
    fake = classes_in(told)["FAKE"]
    assert fake[1] < 0.1
    assert fake[0] > fake[1]


def test_other_windows_and_messages_pass_and_no_detections_have_no_classes(stage, sky):
    day, end = detections(window="day"), End(stream="lat")
    stage.process(sky)
    assert list(stage.process(day)) == [day]
    assert list(stage.process(end)) == [end]
    assert classes_in(day) is None
    (told,) = stage.process(detections(0))
    assert len(told.tables[CLASSES]) == 0


def test_they_are_published_in_the_catalogue(stage, sky, tmp_path):
    stage.process(sky)
    sink = SkySink(tmp_path, Counted())
    for message in stage.process(detections()):
        sink.send(message)
    assert isinstance(sky, SkyProduct)
    with fits.open(tmp_path / "sky" / "mission" / "catalogue.fits") as file:
        rows, header = file[1].data, file[0].header
        np.testing.assert_allclose(sum(rows[f"P_{name}"] for name in KINDS), 1, atol=1e-5)
        assert set(rows["CLASS1"]) <= {name.lower() for name in KINDS}
        assert "lat_cutouts" in header["CLASSES"]


def test_another_model_is_refused():
    with pytest.raises(ModelError):
        ClassifySky(Section(model="lat_classes"), INSTRUMENT, read_diffuse(None, None))
