import math

import numpy as np
import pytest

from config.errors import ConfigError
from config.load import load
from config.simulate import Sensor
from sim.charge import PAIR_ENERGY_EV
from sim.diffusion import sigma_um
from sim.photons import PHOTON, XRays
from sim.places import PointSource
from sim.silicon import K_ALPHA_EV, K_YIELD, absorption_um, k_share
from sim.spectra import Spectrum

LAYOUT = load("quick").detector
SHAPE = (LAYOUT.rows, LAYOUT.columns)
WFI = load("wfi").simulate.sensor


def line(energy_ev):
    return Spectrum(shape="lines", lines_ev=(energy_ev,))


def seeded(number=0):
    return np.random.default_rng(number)


def exposed(seed=0, **source):
    deposit = XRays(fixed=True, **source).expose(0, LAYOUT, seeded(seed))
    return deposit.charges, deposit.truth["photons"]


def inner(photons, margin=2):
    return (
        (photons["x"] > margin) & (photons["x"] < 63 - margin) & (photons["y"] > margin) & (photons["y"] < 63 - margin)
    )


def test_all_charge_is_in_the_truth():
    charges, photons = exposed(per_frame=500)
    for quadrant in range(4):
        mine = photons[photons["quadrant"] == quadrant]
        collected = charges["electrons"][charges["quadrant"] == quadrant].sum()
        assert collected == pytest.approx(mine["electrons"].sum(), rel=1e-5)


def test_electrons_are_the_energy_less_what_escaped_with_fanos_noise():
    _, photons = exposed(per_frame=20_000, spectrum=line(5895.0))
    photons = photons[inner(photons)]
    pairs = (photons["energy_ev"] - photons["escaped_ev"]) / PAIR_ENERGY_EV
    off = photons["electrons"] - pairs
    assert off.mean() == pytest.approx(0, abs=0.4)
    assert off.std() == pytest.approx(math.sqrt(WFI.fano * 5895 / PAIR_ENERGY_EV), rel=0.02)


@pytest.mark.parametrize("energy", [300.0, 5895.0, 9000.0])
def test_depths_are_exponential(energy):
    photons = XRays(per_frame=20_000, fixed=True, spectrum=line(energy)).draw(0, LAYOUT, seeded(1))
    scale = float(absorption_um(energy))
    passed = math.exp(-WFI.thickness_um / scale)
    assert photons.size == pytest.approx(80_000 * (1 - passed), abs=5 * math.sqrt(80_000 * passed) + 1)
    deeper = (photons["depth_um"] > scale).sum()
    assert deeper / 80_000 == pytest.approx(math.exp(-1) - passed, abs=0.01)
    assert photons["depth_um"].max() <= WFI.thickness_um


def test_all_photons_stop_where_the_area_holds_the_quantum_efficiency():
    source = {"per_frame": 5000, "fixed": True, "spectrum": line(20_000.0)}
    some, every = (XRays(**source, all_absorbed=a).draw(0, LAYOUT, seeded(2)) for a in (False, True))
    assert some.size < 8000
    assert every.size == 20_000
    assert every["depth_um"].max() <= WFI.thickness_um
    assert every["depth_um"].mean() == pytest.approx(some["depth_um"].mean(), rel=0.02)


def test_the_escape_peak_has_its_place_and_height():
    _, photons = exposed(seed=3, per_frame=50_000, spectrum=line(5895.0))
    out = photons["escaped_ev"] > 0
    expected = escape_share(5895.0)
    assert expected == pytest.approx(0.0039, abs=0.0002)
    assert out.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / photons.size) + 2e-4)  # some at the sides
    peak = photons["electrons"][out & inner(photons)] * PAIR_ENERGY_EV
    assert np.median(peak) == pytest.approx(5895 - K_ALPHA_EV, abs=10)


def escape_share(energy):
    """Reed & Ware 1972, J. Phys. E 5, 582: fluorescence through the face of a thick detector."""
    ratio = float(absorption_um(energy) / absorption_um(K_ALPHA_EV))
    return 0.5 * float(k_share(energy)) * K_YIELD * (1 - ratio * math.log1p(1 / ratio))


def test_below_the_k_edge_nothing_escapes():
    _, photons = exposed(per_frame=20_000, spectrum=line(1830.0))
    assert not photons["escaped_ev"].any()


def test_the_cloud_has_the_sigma_of_its_depth():
    big = LAYOUT.model_copy(update={"pixel_um": 10.0})
    source = XRays(per_frame=1, fixed=True, spectrum=line(1000.0), sensor=WFI)  # 3 um deep: the full drift
    widths = []
    for seed in range(400):
        deposit = source.expose(0, big, seeded(seed))
        photon = deposit.truth["photons"][0]
        if not inner(deposit.truth["photons"][:1], 6):
            continue
        mine = deposit.charges[deposit.charges["quadrant"] == 0]
        off = np.stack([mine["x"] - photon["x"], mine["y"] - photon["y"]]) * 10.0
        widths.append((mine["electrons"] * off**2).sum() / mine["electrons"].sum() / 2 - 100 / 12)
    assert math.sqrt(np.mean(widths)) == pytest.approx(float(sigma_um(WFI, 3.0)), rel=0.02)


def test_positions_fill_the_quadrants_evenly():
    photons = XRays(per_frame=5000).draw(0, LAYOUT, seeded(2))
    for axis, size in (("x", LAYOUT.columns), ("y", LAYOUT.rows)):
        counts, _ = np.histogram(photons[axis], size, (-0.5, size - 0.5))
        assert counts.sum() == photons.size
        chi2 = ((counts - counts.mean()) ** 2).sum() / counts.mean()
        assert chi2 == pytest.approx(size - 1, abs=5 * math.sqrt(2 * size))


def test_numbers_are_poisson_in_each_quadrant():
    source, rng = XRays(per_frame=3.0, all_absorbed=True), seeded(6)
    tables = [source.draw(r, LAYOUT, rng) for r in range(1500)]
    counts = np.array([np.bincount(t["quadrant"], minlength=4) for t in tables])
    assert counts.mean() == pytest.approx(3, abs=0.1)
    assert counts.var() == pytest.approx(3, abs=0.25)
    assert (counts == 0).mean() == pytest.approx(math.exp(-3), abs=0.015)


def test_a_fixed_number_is_exact():
    photons = XRays(per_frame=7, fixed=True, all_absorbed=True).draw(11, LAYOUT, seeded())
    assert np.bincount(photons["quadrant"]).tolist() == [7, 7, 7, 7]
    assert (photons["frame"] == 11).all()


def test_a_point_source_lights_its_quadrant_only():
    middle = LAYOUT.quadrants[1]
    place = PointSource(x_px=middle.origin_x_px + 30, y_px=middle.origin_y_px + 30, hew_arcsec=2.0, psf="gaussian")
    charges, photons = exposed(per_frame=200, place=place)
    assert set(photons["quadrant"].tolist()) == set(charges["quadrant"].tolist()) == {middle.id}
    assert photons["x"].mean() == pytest.approx(30, abs=0.2)


@pytest.mark.parametrize("source", [{"per_frame": 0}, {"per_frame": 0, "place": PointSource(x_px=0, y_px=0)}])
def test_no_photons_no_charge(source):
    charges, photons = exposed(**source)
    assert charges.size == 0
    assert photons.dtype == PHOTON
    assert photons.size == 0


def test_a_thinner_wafer_lets_more_through():
    thin = Sensor(thickness_um=28.0)
    photons = XRays(per_frame=5000, fixed=True, spectrum=line(5895.0), sensor=thin).draw(0, LAYOUT, seeded())
    assert photons.size / 20_000 == pytest.approx(1 - math.exp(-1), abs=0.02)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"per_frame": -1}, "0 <= per_frame <= 100,000"),
        ({"per_frame": math.nan}, "0 <= per_frame <= 100,000"),
        ({"per_frame": 100_001}, "0 <= per_frame <= 100,000"),
        ({"per_frame": 0.5, "fixed": True}, "whole per_frame"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(bad, expected):
    with pytest.raises(ConfigError, match=expected) as fault:
        XRays(**bad)
    assert str(fault.value).startswith("X-rays: expected ")
    assert "\n" not in str(fault.value)
