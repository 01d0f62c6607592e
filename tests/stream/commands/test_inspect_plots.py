"""`raysieve inspect --plot`: a picture of what people would look at, whatever the file."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli
from stream.infer import STORE
from stream.lat.photons import BLOCK_S
from stream.messages import DEAD, Maps, Product
from stream.spectra.response import Response
from stream.transport.maps import write_maps
from stream.transport.ogip import write_arf, write_rmf
from stream.transport.photons import write_photons
from stream.transport.products import write_coronae, write_images, write_sources
from stream.transport.recording import RecordingWriter
from tests.models.crosscal import grids
from tests.pictures import check
from tests.sim import libraries
from tests.stream.lat.skies import stream
from tests.stream.stages.streams import START, frame, maps
from tests.stream.transport.lat_files import write_ft2


def drawn_by(file, folder, drawn, *names):
    """Inspect a file; return the labels of each picture, checked, and what was said."""
    drawn.clear()
    done = CliRunner().invoke(cli, ["inspect", str(file), "--plot", str(folder)])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert all(str(folder / name) in done.output for name in names)
    made = [line for line in done.output.split("\n") if line.endswith(".png")]
    return [check(path, figure) for path, figure in zip(made, drawn, strict=True)], done.output


def test_a_recording_and_its_maps(tmp_path, drawn):
    given = maps()
    bad = given[0].bad.copy()
    bad[3, 5] = DEAD
    quadrant = {n: Maps(**{**{k: getattr(m, k) for k in m.__slots__}, "bad": bad}) for n, m in given.items()}
    with RecordingWriter(tmp_path / "r.h5", START, maps=list(quadrant.values())) as writer:
        for sequence in range(5):
            for q in START.quadrants:
                writer.write(frame(sequence, q.id))
    labels, _ = drawn_by(tmp_path / "r.h5", tmp_path / "out", drawn, "frames.png", "maps.png")
    assert {"mean (ADU)", "standard deviation (ADU)", "row (pixels)", "column (pixels)"} <= set(labels[0])
    assert drawn[0].axes[0].images[0].get_array().mean() == pytest.approx(500, abs=3)
    assert {"offset (ADU)", "noise (ADU)"} <= set(labels[1])
    write_maps(tmp_path / "m.h5", quadrant.values(), "run")
    drawn_by(tmp_path / "m.h5", tmp_path / "maps", drawn, "maps.png")


@pytest.mark.parametrize(
    ("name", "pictures"), [("filter", ["roc.png", "metrics.png"]), ("lat_classes", ["metrics.png"])]
)
def test_a_model(tmp_path, drawn, name, pictures):
    labels, said = drawn_by(STORE / f"{name}.onnx", tmp_path / "out", drawn, *pictures)
    assert f"model {name} " in said
    assert "value, 68 % interval" in labels[-1]
    if len(pictures) == 2:
        assert {"lost X-rays (%)", "particles in what is kept (%)"} <= set(labels[0])


def product(kind, **tables):
    header = {"TELESCOP": "T", "BIN_PX": 1, "CLASS0": "AGN", "CLASS1": "star", "EXPOSURE": 100.0}
    return Product(stream="s", kind=kind, sequence=0, time_ns=0, header=header, tables=tables)


def test_products(tmp_path, drawn):
    rng = np.random.default_rng(3)
    images = np.zeros(2, [("BAND_LO", "<f8"), ("BAND_HI", "<f8"), ("COUNTS", "<i4", (20, 30))])
    images["BAND_LO"], images["BAND_HI"], images["COUNTS"] = [500, 2000], [2000, 8000], rng.poisson(3, (2, 20, 30))
    exposure = np.ones(1, [("EXPOSURE", "<f4", (20, 30))])
    curve = np.zeros(9, [("TIME", "<f8"), ("COUNTS", "<i4", (2,)), ("FRACEXP", "<f4")])
    curve["TIME"], curve["COUNTS"], curve["FRACEXP"] = np.arange(9), rng.poisson(9, (9, 2)), 1
    gti = np.zeros(1, [("START", "<f8"), ("STOP", "<f8")])
    write_images(product("images", IMAGES=images, EXPOSURE=exposure, LIGHTCURVE=curve, GTI=gti), tmp_path)
    labels, said = drawn_by(tmp_path / "images.fits", tmp_path / "1", drawn, "images.png")
    assert "COUNTS_500_2000: image 20 x 30 count" in said
    assert {"DETX (pixels)", "DETY (pixels)", "count per pixel of 1"} <= set(labels[0])
    labels, _ = drawn_by(tmp_path / "lightcurve.fits", tmp_path / "2", drawn, "lightcurve.png")
    assert "rate (counts s$^{-1}$)" in labels[0]
    rows = np.zeros(4, [("ID", "<i4"), ("X", "<f8"), ("Y", "<f8"), ("NET_COUNTS", "<f8"), ("CLASS", "<i4")])
    rows["X"], rows["Y"], rows["NET_COUNTS"], rows["CLASS"] = (
        [1, 5, 9, 12],
        [3, 4, 8, 2],
        [10, 99, 5, 1000],
        [0, 1, 1, 0],
    )
    write_sources(product("sources", SOURCES=rows), tmp_path)
    drawn_by(tmp_path / "sources.fits", tmp_path / "3", drawn, "sources.png")
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()] == ["AGN (2)", "star (2)"]


def test_spectra(tmp_path, drawn):
    rng = np.random.default_rng(4)
    columns = [fits.Column("CHANNEL", "J", array=np.arange(200)), fits.Column("COUNTS", "J", array=rng.poisson(5, 200))]
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    hdu.header["EXPOSURE"] = 1000.0
    hdu.writeto(tmp_path / "a.pha")
    labels, _ = drawn_by(tmp_path / "a.pha", tmp_path / "1", drawn, "spectrum.png")
    assert labels[0] == ["channel", "counts s$^{-1}$ channel$^{-1}$"]
    with h5py.File(tmp_path / "c.h5", "w") as file:  # as `raysieve simulate corona` writes it
        file.attrs["kind"], file.attrs["about"] = "corona", '{"spectra": 6}'
        truth = np.zeros(6, [("snr", "<f4"), ("log_t", "<f4"), ("log_n", "<f4")])
        truth["snr"] = np.arange(6)
        file["truth"], file["counts"] = truth, rng.poisson(4, (6, 50)).astype(np.uint16)
        file["instrument/edges_a"] = np.linspace(2, 30, 51)
    labels, said = drawn_by(tmp_path / "c.h5", tmp_path / "2", drawn, "spectra.png")
    assert "c.h5: corona\n" in said
    assert "wavelength (Å)" in labels[0]


def test_responses(tmp_path, drawn):
    edges = np.linspace(0.5, 8.0, 76)
    middle, energies = 0.5 * (edges[1:] + edges[:-1]), (edges[:-1], edges[1:])
    matrix = np.exp(-0.5 * ((middle[None] - middle[:, None]) / 0.15) ** 2)
    response = Response.of(energies, energies, matrix / matrix.sum(axis=1, keepdims=True), 400 / middle)
    write_rmf(tmp_path / "a.rmf", response)
    labels, said = drawn_by(tmp_path / "a.rmf", tmp_path / "1", drawn, "response.png")
    assert "EBOUNDS: 75 rows" in said
    assert labels[0][:2] == ["energy of the photon (keV)", "energy of the channel (keV)"]
    assert "density of counts (keV$^{-1}$)" in labels[0]
    write_arf(tmp_path / "a.arf", response)
    labels, _ = drawn_by(tmp_path / "a.arf", tmp_path / "2", drawn, "area.png")
    assert labels[0] == ["energy (keV)", "effective area (cm$^2$)"]


@pytest.mark.parametrize("number", [12, 500])
def test_what_is_said_of_coronae(tmp_path, drawn, number):
    rng = np.random.default_rng(5)
    names = [f"LOG_{of}{head}{end}" for of in "TN" for head in ("", "_ANY") for end in ("", "_LO68", "_HI68")]
    rows = np.zeros(number, [("FLAG", "u1"), ("P_ONE", "<f4"), ("SEEN", "?", (3,)), *((n, "<f4") for n in names)])
    for name in names:
        off = {"LO68": -0.1, "HI68": 0.1}.get(name.rpartition("_")[2], 0.0)
        rows[name] = (6.5 if "_T" in name else 10.5) + off + rng.uniform(0, 0.02, number)
    rows["FLAG"][0], rows["P_ONE"], rows["SEEN"][:, 1] = 1, rng.random(number), True
    lines = np.array([(b"o_7", 21.602), (b"ne_9", 13.447), (b"fe_17", 15.013)], [("ION", "S8"), ("WAVELENGTH", "<f8")])
    tables = {"CORONAE": rows, "LINES": lines}
    write_coronae(product("coronae", **tables), tmp_path)
    labels, _ = drawn_by(tmp_path / "coronae.fits", tmp_path / "out", drawn, "coronae.png")
    assert {"log T (K)", "log n (cm$^{-3}$)", "spectra in which it is seen (%)"} <= set(labels[0])
    assert f"{number} spectra, 1 flagged" in drawn[0].get_suptitle()
    places, bars = drawn[0].axes[:2]
    assert bars.get_yticklabels()[0].get_text() == "ne_9 13.447"
    assert [bar.get_width() for bar in bars.patches] == [100, 0, 0]
    told = [text.get_text() for text in places.get_legend().get_texts()] if number == 12 else []
    assert sum(int(name.partition("(")[2].partition(")")[0]) for name in told) == (11 if number == 12 else 0)


def test_where_the_instrument_looked(tmp_path, drawn):
    live = np.full(40, 27.0)
    live[:10] = 0.0
    write_ft2(tmp_path / "ft2.fits", LIVETIME=("D", "s", live))
    labels, _ = drawn_by(tmp_path / "ft2.fits", tmp_path / "1", drawn, "pointing.png")
    assert {"time since MET 0 s (days)", "live time (%)", "axis from the zenith (degrees)"} <= set(labels[0])
    share, rocking = drawn[0].axes[:2]
    np.testing.assert_allclose(share.lines[0].get_ydata(), [0] * 10 + [90] * 30)
    values, edges = rocking.patches[0].get_data()[:2]
    assert values.sum() == pytest.approx(30 * 27 / 3600)
    assert edges[values.argmax()] == 40  # degrees: the axis is 40 north of the zenith
    write_photons(tmp_path / "photons.h5", stream(300, BLOCK_S)[1], {"seed": 0})
    drawn_by(tmp_path / "photons.h5", tmp_path / "2", drawn, "sky.png", "pointing.png")


def test_a_hit_library(tmp_path, drawn):
    library = libraries.write(tmp_path / "hits.h5", libraries.drawn(30))
    labels, said = drawn_by(library, tmp_path / "out", drawn, "hits.png")
    assert "hits 1" in said
    assert {"energy of a proton (GeV)", "x (mm)", "deposit of a particle in a wafer (keV)"} <= set(labels[0])
    assert drawn[0].axes[0].patches[0].get_data()[0].sum() == 30
    tracks = sum(len(lines.get_segments()) for lines in drawn[0].axes[2].collections)
    with h5py.File(library) as file:
        assert tracks == len(file["segments"])


def test_training_sets(tmp_path, drawn):
    grid = grids.made(tmp_path, 1, 32)
    labels, said = drawn_by(grid, tmp_path / "1", drawn, "grid.png")
    assert "converged: 32 x 9" in said
    assert labels[0] == ["true kT (keV)", "fitted kT / true - 1 (%)"]
    assert drawn[0].axes[0].get_title().startswith("32 theta, 285 fits")  # three have failed
    side, rng = 160, np.random.default_rng(4)
    kinds = [("patch", "<i4"), ("x_deg", "<f4"), ("y_deg", "<f4"), ("flux", "<f4"), ("sigma", "<f4")]
    sources = np.array([(0, 8, 8, 1e-9, 9), (0, 2, 3, 1e-10, 1), (2, 4, 4, 1e-9, 5)], kinds)
    with h5py.File(tmp_path / "patches.h5", "w") as file:  # as `raysieve simulate lat-patches` writes it
        file.attrs["kind"], file.attrs["about"] = "lat patches", "3 of 1 sky"
        file["fine"], file["mask"] = rng.random((3, 6, side, side)).astype("f2"), np.zeros((3, side, side), "u1")
        file["place"], file["sources"] = rng.random((3, 2)), sources
    labels, _ = drawn_by(tmp_path / "patches.h5", tmp_path / "2", drawn, "patches.png")
    assert {"to the west (degrees)", "to the north (degrees)", "significance of the filter ($\\sigma$)"} <= set(
        labels[0]
    )
    first = drawn[0].axes[0]
    assert [len(line.get_xdata()) for line in first.lines] == [1, 1]  # in the mask, too faint
    assert first.lines[0].get_xdata() == [8]
    with h5py.File(tmp_path / "patches.h5", "r+") as file:
        for name in ("fine", "mask", "place", "sources"):
            values = file[name][:0]
            del file[name]
            file[name] = values
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "patches.h5"), "--plot", str(tmp_path / "3")])
    assert "nothing of it is a picture" in done.stderr


def test_what_is_no_picture_is_said_and_a_wrong_folder_is_one_line(tmp_path):
    fits.BinTableHDU.from_columns([fits.Column("A", "D", array=[1.0])], name="ODD").writeto(tmp_path / "a.fits")
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "a.fits"), "--plot", str(tmp_path / "out")])
    assert "ODD: 1 rows of 1 columns" in done.output
    assert "nothing of it is a picture" in done.stderr
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "a.fits"), "--plot", str(tmp_path / "a.fits")])
    assert isinstance(done.exception, ConfigError)
    assert "a.fits: cannot be written: expected a folder for pictures" in str(done.exception)
