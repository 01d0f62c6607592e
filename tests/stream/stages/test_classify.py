"""From the event list of a field of known truth to sources on disk."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from config.errors import ConfigError
from config.load import load
from sim.sources.camera import built_in
from sim.sources.field import Setup, make_field
from sim.sources.files import product_of
from stream.messages import Product
from stream.stages import classify
from stream.stages.accumulate import Accumulate
from stream.stages.classify import Classify
from stream.transport.ogip import read_observation, read_spectrum
from stream.transport.ogip_writer import write_arf, write_rmf
from stream.transport.products import Products

CAMERA = built_in()
SETTINGS = ("accumulate.every_s=10", "classify.rmf=built-in", "classify.model=", "accumulate.light_curve_s=10")


def settings(*more):
    return load("wfi", [*SETTINGS, f"classify.psf_fwhm_px={CAMERA.sigma_px * 2.3548}", *more])


@pytest.fixture(scope="module")
def field():
    return make_field(CAMERA, Setup(exposure_s=3000.0, density=0.15, numbers={"LMXB": 4}), seed=4)


def run(field, *more):
    """What accumulate and classify give for the event list of a field."""
    config = settings(*more)
    stages = Accumulate(config), Classify(config, CAMERA.response)
    images = [*stages[0].process(product_of(field)), *stages[0].flush()]
    return [message for one in images for message in stages[1].process(one)]


@pytest.fixture(scope="module")
def given(field):
    return run(field)


def test_images_pass_and_sources_follow(given):
    assert [one.kind for one in given] == ["images", "sources"]
    assert given[1].header["NSOURCES"] == len(given[1].tables["SOURCES"])


def test_bright_sources_are_found_where_they_are(field, given):
    table = given[1].tables["SOURCES"]
    bright = field.truth[field.truth["counts"] > 150]
    assert len(bright) >= 3
    for source in bright:
        assert np.hypot(table["X"] - source["x"], table["Y"] - source["y"]).min() < 1.5


def test_a_spectrum_holds_the_counts_of_its_circle(given):
    spectra, sources = given[1].tables["SPECTRA"], given[1].tables["SOURCES"]
    assert spectra["ID"].tolist() == sources["ID"].tolist()
    net = spectra["COUNTS"].sum(axis=1) - spectra["BACK_COUNTS"].sum(axis=1) * (
        spectra["EXPOSURE"] * spectra["BACKSCAL"] / (spectra["BACK_EXPOSURE"] * spectra["BACK_BACKSCAL"])
    )
    bright = sources["SIGNIFICANCE"] > 15
    assert bright.any()
    assert net[bright] / sources["NET_COUNTS"][bright] == pytest.approx(0.9, abs=0.3)  # 90 % of the light; also softer


def test_fitted_curves_are_those_of_the_fits(given):
    fitted, spectra = given[1].tables["FITTED"], given[1].tables["SPECTRA"]
    assert len(fitted)
    assert set(fitted["ID"]) <= set(spectra["ID"])
    for row in fitted:
        there = slice(0, row["BINS"])
        low, high, counts, behind, model = (
            row[name][there] for name in ("E_LO", "E_HI", "COUNTS", "BACKGROUND", "MODEL")
        )
        assert low[0] >= 0.5 - 0.01
        assert high[-1] <= 8.01
        assert low[1:] == pytest.approx(high[:-1], abs=1e-6)  # no channel is left out
        assert np.isnan(row["E_LO"][row["BINS"] :]).all()
        centre = (CAMERA.response.e_min_kev + CAMERA.response.e_max_kev) / 2
        inside = (centre > low[0]) & (centre < high[-1])
        assert counts.sum() == spectra["COUNTS"][spectra["ID"] == row["ID"]][0][inside].sum()
        assert (model + behind).sum() == pytest.approx(counts.sum(), abs=4 * float(np.sqrt(counts.sum())) + 3)


def test_binned_images_give_places_in_pixels_of_the_camera(field, given):
    binned = run(field, "accumulate.bin_px=2")[1].tables["SOURCES"]
    (first,) = given[1].tables["SOURCES"][:1]
    assert np.hypot(binned["X"] - first["X"], binned["Y"] - first["Y"]).min() < 0.7


def test_light_curves_are_of_the_events_around(field, given):
    curves = given[1].tables["LIGHTCURVES"]
    source = given[1].tables["SOURCES"][0]
    events = field.events
    near = np.hypot(events["x"] - source["X"], events["y"] - source["Y"]) <= CAMERA.sigma_px * 2.3548
    assert curves["COUNTS"][:, 0].sum() == pytest.approx(near.sum(), rel=0.02)


def test_files_that_others_open(field, given, tmp_path):
    sink = Products(tmp_path)
    for product in given:
        sink.send(product)
    assert not sink.counters
    with fits.open(tmp_path / "sources.fits", checksum=True) as hdus:
        assert len(hdus["SOURCES"].data) == given[1].header["NSOURCES"]
    spectrum = read_spectrum(tmp_path / "spectra" / "source_0001.pha")
    assert spectrum.counts.sum() == given[1].tables["SPECTRA"]["COUNTS"][0].sum()
    assert spectrum.background is not None
    (tmp_path / "spectra" / "source_9999.pha").write_text("of a source that is gone")
    sink.send(given[1])
    assert not (tmp_path / "spectra" / "source_9999.pha").exists()


def test_a_field_without_sources_gives_an_empty_table(tmp_path):
    empty = make_field(CAMERA, Setup(exposure_s=500.0, density=0.0, diffuse=0.2, texture=0.0, knots=0.0), seed=1)
    given = run(empty)
    assert given[1].header["NSOURCES"] == len(given[1].tables["SOURCES"]) <= 1
    sink = Products(tmp_path)
    sink.send(given[1])
    assert not sink.counters


def test_without_a_response_all_passes(field):
    stage = Classify(load("wfi"), None)
    (product,) = [product_of(field)]
    assert stage.process(product) == (product,)
    assert stage.about == {}


def test_sources_without_images_are_refused():
    with pytest.raises(ConfigError, match=r"expected accumulate.every_s above 0"):
        load("wfi", ["classify.rmf=a.rmf"])
    with pytest.raises(ConfigError, match=r"classify.regions: their spectra need .*; expected classify.rmf"):
        load("wfi", ["accumulate.every_s=10", "classify.regions=known.reg"])


def test_a_product_that_would_leave_the_folder_is_not_written(tmp_path, given):
    sink = Products(tmp_path / "out")
    sink.send(Product(**{f: getattr(given[0], f) for f in ("stream", "kind", "sequence", "time_ns", "tables")},
                      header={**given[0].header, "FOLDER": "../else"}))  # fmt: skip
    assert sink.counters == {"not_written": 1}
    assert not (tmp_path / "else").exists()


@pytest.mark.parametrize("model", ["sources", "sources_trees"])
def test_the_shipped_models_judge_what_is_found(field, model):
    given = run(field, f"classify.model={model}", "classify.latitude_deg=-1.5")[1]
    table, header = given.tables["SOURCES"], given.header
    classes = [header[f"CLASS{k}"] for k in range(table["P"].shape[1])]
    assert classes == ["AGN", "CV", "LMXB", "NS", "diffuse", "star"]
    assert table["P"].sum(axis=1) + table["P_OUTLIER"] == pytest.approx(1, abs=1e-5)
    assert ((table["HYPERSCORE"] >= 100) & (table["HYPERSCORE"] < 110)).all()
    bright = field.truth[field.truth["counts"] > 200]
    told = []
    for source in bright:
        row = table[np.argmin(np.hypot(table["X"] - source["x"], table["Y"] - source["y"]))]
        told.append(classes[row["CLASS"]] == source["class"].decode())
    assert np.mean(told) >= 0.5  # of four


def test_the_light_between_the_sources_is_mapped_if_asked_for(field, tmp_path):
    given = run(field, "classify.diffuse=true", "classify.latitude_deg=-1.5")[1]
    row = given.tables["DIFFUSE"][0]
    truth = field.diffuse() / field.setup.exposure_s
    assert row["RATE"].mean() == pytest.approx(truth.mean(), rel=0.1)
    assert np.median(np.abs(row["RATE"] / truth - 1)) < 0.25
    assert (row["ERROR"] > 0).all()
    sink = Products(tmp_path)
    sink.send(given)
    with fits.open(tmp_path / "diffuse.fits", checksum=True) as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["RATE", "ERROR"]
        assert hdus["RATE"].data == pytest.approx(row["RATE"])


def test_a_spectrum_names_its_response_as_seen_from_where_it_lies(field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rmf(tmp_path / "camera.rmf", CAMERA.response)
    write_arf(tmp_path / "camera.arf", CAMERA.response)
    given = run(field, "classify.rmf=camera.rmf", "classify.arf=camera.arf")[1]
    Products(tmp_path / "out").send(given)
    spectrum, response = read_observation(tmp_path / "out" / "spectra" / "source_0001.pha")
    assert spectrum.background is not None
    assert len(response.channel) == len(spectrum.counts)


def test_a_response_without_the_band_of_the_fits_is_refused_at_once():
    far = replace(CAMERA.response, e_min_kev=CAMERA.response.e_min_kev + 50, e_max_kev=CAMERA.response.e_max_kev + 50)
    with pytest.raises(ConfigError, match=r"classify.rmf: no channel within"):
        Classify(settings(), replace(far, _bands={}))


def test_what_is_built_has_its_kernels_compiled(monkeypatch):
    """Else the first product of a daemon would wait for a compiler: the made source is found, and fitted by all."""
    made = []
    original = classify.make_catalogue
    monkeypatch.setattr(classify, "make_catalogue", lambda seen: made.append(original(seen)))
    classify.warm_up(CAMERA.response)
    assert len(made[0]) >= 1
    assert all(fits[0] is not None for fits in made[0].fits.values())


def test_a_model_of_another_camera_is_refused_in_one_line():
    for more in ("classify.psf_fwhm_px=2.0", "accumulate.bin_px=2"):
        with pytest.raises(ConfigError, match=r"classify.model: sources is made for a PSF of 4.0 px") as fault:
            Classify(load("wfi", [*SETTINGS, "classify.model=sources", more]), CAMERA.response)
        assert "\n" not in str(fault.value)
    fitting = ["classify.model=sources", "classify.psf_fwhm_px=8.0", "accumulate.bin_px=2"]
    assert Classify(load("wfi", [*SETTINGS, *fitting]), CAMERA.response)


def test_coordinates_of_a_diffusion_map_if_asked_for():
    crowded = make_field(CAMERA, Setup(exposure_s=8000.0, density=0.5, numbers={"LMXB": 4}), seed=5)
    table = run(crowded, "classify.embed=3")[1].tables["SOURCES"]
    assert len(table) >= 50
    assert np.isfinite(table["DIFFUSION"]).all()
    few = run(make_field(CAMERA, Setup(exposure_s=500.0, density=0.1), seed=5), "classify.embed=2")[1]
    assert np.isnan(few.tables["SOURCES"]["DIFFUSION"]).all()
