"""The catalogue of event lists of Chandra, as they come from the archive."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from tests.real.conftest import invoke

pytestmark = pytest.mark.real
BIN = {"03392_sgra_evt2.fits.gz": 1, "acisf28229_repro_evt2.fits.gz": 4}


@pytest.mark.parametrize("name", BIN)
def test_images_exposure_and_places_on_the_sky(data, tmp_path, name):
    path, folder = data / "acis" / name, data / "responses"
    with fits.open(path) as hdus:
        header = hdus["EVENTS"].header
        events = {key: np.array(hdus["EVENTS"].data[key]) for key in ("x", "y", "energy")}
    words = ["-c", "acis", "--set", "classify.model=", "--set", "classify.psf_fwhm_px=2.0", "--sky-bin", BIN[name]]
    for kind in ("rmf", "arf"):
        words += [f"--{kind}", folder / f"acisi_aimpt_cy19.{kind}.gz"]
    invoke("catalogue", path, *words, "--out", tmp_path)
    with fits.open(tmp_path / "images.fits") as images:
        assert images[0].header["TELESCOP"] == "CHANDRA"
        assert images[0].header["EXPOSURE"] == pytest.approx(header["EXPOSURE"], rel=1e-5)
        for hdu in images[1:-1]:
            inside = (events["energy"] >= hdu.header["BAND_LO"]) & (events["energy"] < hdu.header["BAND_HI"])
            assert hdu.data.sum() == inside.sum()
    column = {header[key].lower(): key[5:] for key in header if key.startswith("TTYPE")}
    wcs = WCS(naxis=2)
    for key, card in (("ctype", "TCTYP"), ("crpix", "TCRPX"), ("crval", "TCRVL"), ("cdelt", "TCDLT")):
        setattr(wcs.wcs, key, [header[f"{card}{column[axis]}"] for axis in ("x", "y")])
    with fits.open(tmp_path / "sources.fits") as hdus:
        table = hdus["SOURCES"].data
        assert len(table)
        x, y = wcs.all_world2pix(table["RA"], table["DEC"], 1)  # back in the pixels of the list
    reach = 4 * BIN[name]
    aside = 5 * reach
    near, there = (np.hypot(events["x"] - x[0] - step, events["y"] - y[0]) < reach for step in (0, aside))
    assert near.sum() > 2 * there.sum()  # the brightest lies where its photons do


def test_mos_is_read_in_ev_and_as_finely_as_fits(data, tmp_path):
    path = data / "xmm_mos/0201901401_mos1_clean_evts.fits.gz"
    invoke("catalogue", path, "-c", "acis", "--set", "classify.model=", "--out", tmp_path)
    with fits.open(path) as hdus:
        pi = np.array(hdus["EVENTS"].data["PI"])
    with fits.open(tmp_path / "images.fits") as images:
        assert max(images[1].shape) <= 2048 < 2 * max(images[1].shape)
        for hdu in images[1:-1]:
            assert hdu.data.sum() == ((pi >= hdu.header["BAND_LO"]) & (pi < hdu.header["BAND_HI"])).sum()
