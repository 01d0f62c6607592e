"""The simulated gamma-ray sky against the mission's files, and against gammapy's forward folding."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sim.lat.catalogue import CLASSES, SOURCE, make_catalogue
from sim.lat.given import read_published, read_xml
from sim.lat.photons import Scatter
from stream.errors import ConfigError
from stream.lat.bands import BANDS, TYPES
from stream.lat.exposure import ENERGY_MEV, NODES, NSIDE, Exposure
from stream.lat.instrument import Grid, Instrument, Optics
from stream.lat.patch import to_patch
from stream.lat.sky import stand_in
from stream.lat.sphere import separation
from stream.transport.lat_catalogue import read_catalogue
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import read_instrument

pytestmark = pytest.mark.real
GAMMAPY = json.loads((Path(__file__).parent / "lat_gammapy.json").read_text())  # bench/lat/gammapy_patch.py
PLACE, EXPOSURE, MORE = (120.0, 40.0), 2.4e11, 60  # its own; and how many times as long
SOURCES = (
    (0.0, 0.0, 3e-12, 2.1, 0.05),
    (1.5, -2.0, 1e-12, 2.4, 0.1),
    (-3.0, 3.5, 6e-12, 1.9, 0.0),
    (4.6, 1.0, 2e-12, 2.6, 0.2),
)


@pytest.fixture(scope="module")
def lat(data):
    if not (data / "lat").is_dir():
        pytest.skip(f"no {data / 'lat'}")
    return data / "lat"


def test_photons_of_a_patch_lie_as_gammapy_folds_them(lat):
    whole = read_instrument(lat / "irfs").optics[0]
    at = {
        name: whole.psf_grid.at(table, np.exp(whole.psf_grid.log_energy), 0.8).T for name, table in whole.king.items()
    }
    flat = Optics(
        whole.area_grid,
        np.ones_like(whole.area_m2),
        Grid(whole.psf_grid.log_energy, np.array([0.8])),
        at,
        whole.scaling,
    )
    maps = np.zeros((len(TYPES), BANDS, NODES, 12 * NSIDE**2), np.float32)
    maps[0] = EXPOSURE * MORE
    table = np.zeros(len(SOURCES), SOURCE)
    for row, (x, y, norm, index, beta) in zip(table, SOURCES, strict=True):
        row["glat_deg"] = PLACE[1] + y
        row["glon_deg"] = PLACE[0] + x / np.cos(np.radians(PLACE[1] + y))
        e = ENERGY_MEV / 2000
        row["spectrum"] = norm * e ** -(index + beta * np.log(e))
    photons = Scatter(Instrument((flat, flat), "flat")).draw(table, Exposure(maps, 1.0, ""), np.random.default_rng(1))
    band = photons["channel"] // len(TYPES)
    away = separation(photons["glon_deg"], photons["glat_deg"], *PLACE)
    x, y = to_patch(*PLACE, photons["glon_deg"], photons["glat_deg"])  # from the corner of 16 degrees
    with np.errstate(invalid="ignore"):
        inside = {"patch": (np.abs(x - 8) < 5) & (np.abs(y - 8) < 5), "1.0": away < 1, "3.0": away < 3}
    for name, kept in inside.items():
        ours = np.bincount(band[kept], minlength=BANDS) / MORE
        theirs = np.array(GAMMAPY[name])
        assert np.all(np.abs(ours / theirs - 1) < 0.01 + 3 / np.sqrt(theirs * MORE)), (name, ours / theirs)


def test_the_interstellar_cube_is_read_where_it_lies_and_a_shifted_one_refused(lat, tmp_path):
    path = lat / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz"
    sky = read_diffuse(path, lat / "diffuse")
    with fits.open(path) as file:
        direct = file[0].data[:, 65, 120].astype(float)  # nearest cell to l = -0.75, b = 0
        energy = file["ENERGIES"].data.field(0)
        ours = sky.iem(np.array([359.25]), np.array([0.0]))[..., 0].ravel()
        told = np.exp(np.interp(np.log(ENERGY_MEV.ravel()), np.log(energy), np.log(direct)))
        np.testing.assert_allclose(ours[ENERGY_MEV.ravel() < 8e5], told[ENERGY_MEV.ravel() < 8e5], rtol=1e-4)
        file[0].header["CRPIX2"] = 65.5
        file.writeto(tmp_path / "shifted.fits")
    with pytest.raises(ConfigError, match="CRPIX2 is off"):
        read_diffuse(tmp_path / "shifted.fits", None)


def test_the_stand_in_is_as_near_to_v07_as_it_says(lat):
    real, ours = read_diffuse(lat / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz", None), stand_in()
    rng = np.random.default_rng(0)
    lon, lat_deg = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    off = np.log(ours.iem(lon, lat_deg)[3, 2] / real.iem(lon, lat_deg)[3, 2])  # 2.7 GeV
    high = np.abs(lat_deg) > 45
    assert np.sqrt(np.mean(off[high] ** 2)) < 0.35
    for low, top in ((0, 2), (2, 5), (5, 10), (10, 20), (20, 45)):
        near = (np.abs(lat_deg) >= low) & (np.abs(lat_deg) < top)
        assert np.sqrt(np.mean(off[near] ** 2)) < 0.45, (low, top)


def test_mock_catalogues_are_as_dr2(lat):
    """Above 8e-10 photons cm-2 s-1, where DR2 is complete: numbers, spectra, places, variability."""
    rows = read_catalogue(lat / "catalogs" / "gll_psc_v27.fit.gz").rows
    rows = rows[(rows["flux1000"] > 8e-10)]
    made = np.concatenate([make_catalogue(np.random.default_rng(k)) for k in range(6)])
    faint = np.mean(made["flux"] < 1e-10)
    assert faint > 0.5  # most cannot be seen one by one
    made = made[made["flux"] > 8e-10]
    blazars = np.isin(rows["group"], ("BLL", "FSRQ", "BCU"))
    drawn = np.isin(made["class"], (0, 1))
    assert abs(drawn.sum() / 6 / blazars.sum() - 1) < 0.15
    pulsars = rows["group"] == "PSR"
    assert abs((made["class"] == 2).sum() / 6 / pulsars.sum() - 1) < 0.25
    for group in ("BLL", "FSRQ", "PSR"):
        theirs, ours = rows[rows["group"] == group], made[made["class"] == CLASSES.index(group)]
        hard = [np.log(t["spectrum"][:, 4, 0] / t["spectrum"][:, 2, 0]) for t in (theirs, ours)]  # 7 over 1 GeV
        assert abs(np.median(hard[0]) - np.median(hard[1])) < 0.25, group
        steep = [np.log10(np.median(t[name])) for t, name in ((theirs, "flux1000"), (ours, "flux"))]
        assert abs(steep[0] - steep[1]) < 0.2, group
        plane = [np.mean(np.abs(t["glat_deg"]) < 5) for t in (theirs, ours)]
        assert abs(plane[0] - plane[1]) < 0.1, group


def test_the_years_of_blazars_scatter_as_dr2_has_it(lat):
    rows = read_catalogue(lat / "catalogs" / "gll_psc_v27.fit.gz").rows
    made = make_catalogue(np.random.default_rng(1))
    for group in ("BLL", "FSRQ"):
        theirs = rows[(rows["group"] == group) & (rows["significance"] > 30)]
        flux, error = theirs["flux_history"], np.nanmean(theirs["flux_history_error"], axis=2)
        mean = flux.mean(axis=1, keepdims=True)
        intrinsic = np.sqrt(np.maximum(flux.var(axis=1) - np.nanmean(error**2, axis=1), 0)) / mean[:, 0]
        drawn = made["yearly"][(made["class"] == CLASSES.index(group))].std(axis=1)
        assert abs(np.median(intrinsic) - np.median(drawn)) < 0.12, group
    assert np.all(made["yearly"][made["class"] == 2] == 1)


def test_published_mocks_and_catalogues_can_be_simulated(lat):
    agn = read_xml(lat / "mock_panes2021" / "MOCK_4FGL_agn_400.xml.gz")
    pulsars = read_xml(lat / "mock_panes2021" / "MOCK_4FGL_psr_400.xml.gz")
    assert (len(agn), len(pulsars)) == (5161, 480)
    assert set(agn["class"]) == {0}
    assert set(pulsars["class"]) == {2}
    assert np.mean(np.abs(pulsars["glat_deg"]) < 10) > 0.4
    assert np.all(np.isfinite(agn["flux"]) & (agn["flux"] > 0))
    assert 1e-10 < np.median(agn["flux"]) < 5e-10
    real = read_published(lat / "catalogs" / "gll_psc_v27.fit.gz")
    assert len(real) == 5788
    assert 1500 < np.sum(real["yearly"].std(axis=1) > 0) < 1800  # 1755 vary
    np.testing.assert_allclose(real["yearly"].mean(axis=1), 1, rtol=1e-6)
