import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner
from rich.console import Console

from config.errors import ConfigError
from raysieve import cli
from sim.sources.camera import built_in
from sim.sources.field import Setup, make_field
from sim.sources.files import write_event_list
from stream.commands.catalogue import notes_of, table_of
from stream.messages import Product
from stream.transport.ogip_writer import write_arf, write_rmf
from tests.event_lists import event_list, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("catalogue")
    camera = built_in()
    write_rmf(made / "camera.rmf", camera.response)
    write_arf(made / "camera.arf", camera.response)
    field = make_field(camera, Setup(exposure_s=1500.0, density=0.1, numbers={"LMXB": 3}), seed=2)
    write_event_list(field, made / "field.fits")
    return made


def run(*words):
    return CliRunner().invoke(cli, ["catalogue", *map(str, words)], catch_exceptions=False)


def test_a_field_becomes_images_sources_and_spectra(folder, tmp_path):
    camera = ("--rmf", folder / "camera.rmf", "--arf", folder / "camera.arf", "--set", "classify.model=")
    said = run(folder / "field.fits", "-c", "wfi", *camera, "--out", tmp_path)
    assert said.exit_code == 0
    assert {path.name for path in tmp_path.glob("*.fits")} == {"images.fits", "lightcurve.fits", "sources.fits"}
    with fits.open(tmp_path / "sources.fits") as hdus, fits.open(folder / "field.fits") as lists:
        assert f"{len(hdus['SOURCES'].data)} sources" in said.output
        assert hdus[0].header["EXPOSURE"] == pytest.approx(lists["EVENTS"].header["EXPOSURE"])
        assert len(list((tmp_path / "spectra").glob("source_*_bkg.pha"))) == len(hdus["SOURCES"].data)


def test_without_a_response_there_are_images_only(folder, tmp_path):
    said = run(folder / "field.fits", "-c", "wfi", "--out", tmp_path)
    assert said.exit_code == 0
    assert not (tmp_path / "sources.fits").exists()
    with fits.open(tmp_path / "images.fits") as images:
        assert images[1].data.sum() > 0


def test_the_lists_of_a_run_are_taken_together(tmp_path):
    lists = [event_list(n) for n in range(40)]
    paths = write(tmp_path / "run", lists, interval_s=0.05, roll_s=0.1)
    assert len(paths) >= 2
    said = run(*paths, "-c", "wfi", "--out", tmp_path / "out", "--set", "accumulate.bands_ev=[[0, 1e6]]")
    assert said.exit_code == 0
    valid = sum(int((one.events["reason"] == 0).sum()) for one in lists)
    with fits.open(tmp_path / "out" / "images.fits") as images:
        assert images[1].data.sum() == valid
        assert images[0].header["NINTERV"] == len(paths)


def test_another_kind_of_list_is_named(tmp_path):
    rows = np.zeros(3, [("TIME", "<f8"), ("X", "<f4"), ("Y", "<f4")])
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows, name="EVENTS")]).writeto(tmp_path / "other.fits")
    with pytest.raises(ConfigError, match=r"other.fits: no keyword EXPOSURE, LIVETIME or ONTIME"):
        run(tmp_path / "other.fits", "-c", "wfi", "--out", tmp_path / "out")


def test_a_response_that_is_none_is_named(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"field.fits"):
        run(folder / "field.fits", "-c", "wfi", "--rmf", folder / "field.fits", "--out", tmp_path)


def test_a_region_that_cannot_be_is_one_line(folder, tmp_path):
    camera = ("-c", "wfi", "--rmf", folder / "camera.rmf", "--arf", folder / "camera.arf", "--set", "classify.model=")
    drawn = tmp_path / "drawn.reg"
    for text, told in (("circle(-50,9,5)", "region_1: no pixel with exposure"), ("polygon(1,2,3,4,5,6)", "line 2")):
        drawn.write_text(f"image\n{text}\n")
        with pytest.raises(ConfigError, match=told) as fault:
            run(folder / "field.fits", *camera, "--regions", drawn, "--out", tmp_path / "out", "--overwrite")
        assert str(fault.value).startswith(str(drawn))
        assert "\n" not in str(fault.value)


def test_sources_of_a_list_in_sky_pixels_lie_where_its_photons_do(folder, tmp_path):
    rng, count = np.random.default_rng(3), 600
    near = np.array([[4126.5], [4076.5]]) + 1.7 * rng.standard_normal((2, count))
    x, y = np.concatenate([near, rng.uniform(4000, 4190, (2, 400))], axis=1)
    rows = np.zeros(len(x), [("TIME", "<f8"), ("X", "<f4"), ("Y", "<f4"), ("ENERGY", "<f4")])
    rows["TIME"], rows["X"], rows["Y"], rows["ENERGY"] = np.linspace(0, 900, len(x)), x, y, 2000
    table = fits.BinTableHDU(rows, name="EVENTS")
    for number, kind, value, step in ((2, "RA---TAN", 83.6, -1e-4), (3, "DEC--TAN", 22.0, 1e-4)):
        cards = {"TCTYP": kind, "TCRPX": 4096.5, "TCRVL": value, "TCDLT": step}
        table.header.update({f"{key}{number}": card for key, card in cards.items()})
    table.header["EXPOSURE"] = 900.0
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "sky.fits")
    camera = ("-c", "wfi", "--rmf", folder / "camera.rmf", "--arf", folder / "camera.arf", "--set", "classify.model=")
    assert run(tmp_path / "sky.fits", *camera, "--out", tmp_path / "out").exit_code == 0
    with fits.open(tmp_path / "out" / "sources.fits") as hdus:
        source = hdus["SOURCES"].data[0]
    assert source["NET_COUNTS"] == pytest.approx(count, rel=0.15)
    assert source["DEC"] == pytest.approx(22.0 - 20e-4, abs=5e-5)
    assert source["RA"] == pytest.approx(83.6 - 30e-4 / np.cos(np.radians(22)), abs=5e-5)


def test_without_an_area_there_are_no_fluxes_and_that_is_said(folder, tmp_path):
    said = run(folder / "field.fits", "-c", "wfi", "--rmf", folder / "camera.rmf", "--out", tmp_path)
    assert "no area (--arf, classify.arf), so no fits and no fluxes" in said.output
    with fits.open(tmp_path / "sources.fits") as hdus:
        sources = hdus["SOURCES"].data
        assert "FITTED" not in hdus
    assert len(sources)
    for name in ("LOG_FLUX", "PHOTON_INDEX", "LOG_NH", "LOG_KT"):
        assert np.isnan(sources[name]).all()
    assert sources["P"].sum(axis=1) + sources["P_OUTLIER"] == pytest.approx(1, abs=1e-5)


def test_products_are_replaced_only_when_told_to(folder, tmp_path):
    words = (folder / "field.fits", "-c", "wfi", "--out", tmp_path)
    assert run(*words).exit_code == 0
    with pytest.raises(ConfigError, match=r"images.fits: exists; --overwrite replaces it"):
        run(*words)
    (tmp_path / "sources.fits").write_text("of another run")
    assert run(*words, "--overwrite").exit_code == 0
    assert not (tmp_path / "sources.fits").exists()


def test_the_table_names_outliers_places_on_the_sky_and_units():
    names = ("ID", "X", "Y", "RA", "DEC", "NET_COUNTS", "SIGNIFICANCE", "LOG_FLUX", "PHOTON_INDEX", "LOG_NH")
    kinds = [(name, "f8") for name in names] + [("CLASS", "i4"), ("P", "f4", (2,)), ("P_OUTLIER", "f4")]
    rows = np.zeros(2, [*kinds, ("HYPERSCORE", "f4")])
    rows["P"], rows["P_OUTLIER"], rows["RA"] = [[0.06, 0.04], [0.2, 0.7]], [0.9, 0.1], 266.41684
    rows["CLASS"] = [0, 1]
    header = {"EXPOSURE": 10.0, "CLASS0": "star", "CLASS1": "CV"}
    console = Console(width=130)
    with console.capture() as shown:
        console.print(table_of(rows, header))
    _, head, first, second = shown.get().splitlines()
    assert head.split()[:5] == ["ID", "X", "Y", "RA", "DEC"]
    assert first.split()[-3:-1] == ["outlier", "0.90"]
    assert second.split()[-3:-1] == ["CV", "0.70"]
    assert "266.41684" in first


def test_units_stand_below_the_table(folder, tmp_path):
    camera = ("--rmf", folder / "camera.rmf", "--arf", folder / "camera.arf")
    said = " ".join(run(folder / "field.fits", "-c", "wfi", *camera, "--out", tmp_path).output.split())
    assert "log flux: log10 of erg cm-2 s-1, absorbed, 0.5-8 keV" in said
    assert "score: 100 to 110, rises with P" in said


def test_what_no_catalogue_can_be_made_of_is_said():
    def notes(events, **cards):
        return notes_of(Product(stream="", kind="events", sequence=0, time_ns=0, header=cards, tables=events), 4.0)

    one = np.zeros(50, [("FRAME", "i8"), ("QUADRANT", "u1"), ("RAWX", "i2"), ("RAWY", "i2")])
    one["FRAME"] = one["RAWX"] = np.arange(50)
    again = one.copy()
    again["FRAME"] += 400
    assert notes({"EVENTS": one}, TELESCOP="ATHENA") == []
    assert "the same frames 2 times (replay --loop)" in notes({"EVENTS": np.concatenate([one, again])})[0]
    assert "chip coordinates, no aspect" in notes({"EVENTS": one}, TELESCOP="CHANDRA")[0]
    (taken,) = notes({"EVENTS": one}, TELESCOP="CHANDRA", SKY_BIN=17, Q00NX=2043, Q00NY=2011)
    assert "2043 x 2011 pixels, each 17 x 17 of the list's (--sky-bin)" in taken


def test_a_folder_that_is_a_file_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    words = ["catalogue", str(tmp_path / "no.fits"), "-c", "wfi", "--out", str(tmp_path / "file")]
    done = CliRunner().invoke(cli, words)
    assert f"{tmp_path}/file: cannot be written: is a file, expected a folder" in str(done.exception)
