import numpy as np
import pytest

from stream.errors import ConfigError
from stream.spectra.absorption import cross_section, mean_cross_section
from stream.spectra.flux import ERG_PER_KEV, measure_flux
from stream.spectra.gaunt import gaunt_sum
from stream.spectra.grid import Grid
from stream.spectra.model import parse_model
from stream.spectra.table import KELVIN_PER_KEV, PlasmaTable, shipped_table

EDGES = np.geomspace(0.3, 10, 400)
GRID = Grid.of(EDGES[:-1], EDGES[1:])


@pytest.mark.parametrize(
    "text",
    [
        "tbabs*powerlaw",
        "tbabs*bremss",
        "tbabs*bbody",
        "tbabs*apec",
        "tbabs*(powerlaw + gaussian)",
        "tbabs*apec + tbabs*(bbody + powerlaw)",
    ],
)
def test_slopes_are_those_of_the_model(text):
    model = parse_model(text)
    model = model.set(**{name: {"frozen": False} for name in model.names})
    begin = {"nH": 0.17, "Redshift": 0.1}
    values = np.array([begin.get(p.name.split(".")[1], p.value * 1.07) for p in model.parameters])
    slopes = np.zeros((len(values), len(GRID.low)))
    model.on(GRID, values, slopes)
    for j, value in enumerate(values):
        step = np.zeros(len(values))
        step[j] = 1e-5 * value
        wanted = (model.on(GRID, values + step) - model.on(GRID, values - step)) / (2e-5 * value)
        near = np.isclose(slopes[j], wanted, rtol=2e-4, atol=1e-6 * np.abs(wanted).max())
        least = 0.95 if model.names[j].endswith("Redshift") else 1.0  # a step may pass an edge of the plasma table
        assert near.mean() >= least, model.names[j]


def test_a_redshifted_plasma_is_the_plasma_of_shifted_bins():
    """As XSPEC: N(E) of a source at z is N0(E (1 + z)), so a bin has 1 / (1 + z) of the photons of the shifted bin."""
    z, kt = 0.5, 1.3
    at_rest = parse_model("apec")
    near = at_rest.photons([kt, 0.5, z, 1.0], EDGES[:-1], EDGES[1:])
    shifted = at_rest.photons([kt, 0.5, 0.0, 1.0], EDGES[:-1] * (1 + z), EDGES[1:] * (1 + z)) / (1 + z)
    assert near == pytest.approx(shifted, rel=1e-12)


def test_both_ways_to_an_unshifted_plasma_of_solar_abundance_agree():
    plain, free = parse_model("apec"), parse_model("apec").set(**{"apec.Abundanc": {"frozen": False}})
    for kt in (0.2, 0.77, 3.3, 12.0):
        slopes = np.zeros((4, len(GRID.low)))
        ours = plain.on(GRID, np.array([kt, 1.0, 0.0, 1.0]))
        assert free.on(GRID, np.array([kt, 1.0, 0.0, 1.0]), slopes) == pytest.approx(
            ours, rel=2e-2, abs=1e-3 * ours.max()
        )
        assert slopes[1].sum() > 0  # metals shine


def test_metals_cannot_be_changed_in_a_table_that_does_not_know_them():
    table = PlasmaTable(np.array([6.0, 7.0, 8.0]), np.linspace(1, 3, 21), np.ones((3, 20), "f4"))
    model = parse_model("apec", table)
    abundance = next(p for p in model.parameters if p.name == "apec.Abundanc")
    assert (abundance.low, abundance.high, abundance.frozen) == (1.0, 1.0, True)


def test_power_law_has_its_norm_at_1_kev_and_is_integrated_over_wide_bins():
    for index in (0.0, 1.0, 1.00001, 1.8, 4.0):
        value = parse_model("powerlaw").photons([index, 2.0], [0.999, 1.0], [1.001, 9.0])
        wide = np.log(9) if abs(index - 1) < 1e-3 else (9 ** (1 - index) - 1) / (1 - index)
        assert value == pytest.approx([2.0 * 0.002, 2.0 * wide], rel=1e-4)


def test_black_body_has_the_luminosity_of_its_norm():
    edges = np.geomspace(1e-3, 60, 4000)
    photons = parse_model("bbody").photons([0.7, 1.0], edges[:-1], edges[1:])
    flux = (photons * 0.5 * (edges[1:] + edges[:-1])).sum() * ERG_PER_KEV
    assert flux == pytest.approx(1e39 / (4 * np.pi * (10 * 3.0857e21) ** 2), rel=4e-3)  # at 10 kpc; 8.0525 is XSPEC


def test_bremsstrahlung_has_the_emissivity_of_its_norm():
    """Rybicki & Lightman 5.14: 6.84e-38 T^-1/2 exp(-u) g erg s-1 cm-3 Hz-1 for n_e n_i = 1, Z = 1; He added."""
    kt, energy = 3.0, np.array([1.0, 5.0])
    value = parse_model("bremss").photons([kt, 1.0], energy - 1e-3, energy + 1e-3) / 2e-3
    gaunt, _ = gaunt_sum(energy, kt)
    wanted = 6.84e-38 / 6.626e-27 / np.sqrt(kt * KELVIN_PER_KEV) * np.exp(-energy / kt) * gaunt / energy / 3.02e-15
    assert value == pytest.approx(wanted, rel=6e-3)
    assert np.all((gaunt / 1.34 > 0.5) & (gaunt / 1.34 < 2))


def test_a_line_is_whole_within_its_bins_however_narrow():
    for sigma in (1e-5, 0.05, 0.5):
        photons = parse_model("gaussian").photons([5.0, sigma, 3.0], EDGES[:-1], EDGES[1:])
        assert photons.sum() == pytest.approx(3.0, rel=1e-6)


def test_cross_section_is_that_of_wilms_at_1_kev_and_its_mean_is_exact():
    assert cross_section(1.0) == pytest.approx(1.7375, rel=1e-3)
    fine = GRID.low + (np.arange(500)[:, None] + 0.5) / 500 * GRID.width
    assert np.allclose(mean_cross_section(GRID), cross_section(fine).mean(axis=0), rtol=1e-3)
    assert np.all(np.diff(cross_section(np.array([0.01, 0.05, 0.1, 30.0, 60.0]))) < 0)


def test_a_plasma_table_is_met_at_its_temperatures_and_is_shared_by_overlap():
    log_t = np.array([6.0, 6.1, 6.3, 6.4, 6.5])
    table = PlasmaTable(log_t, np.linspace(1, 3, 21), np.random.default_rng(1).random((5, 20)).astype("f4"))
    model = parse_model("apec", table)
    for row, t in enumerate(log_t):
        value = model.photons([10**t / KELVIN_PER_KEV, 1.0, 0.0, 2.0], [1.0, 1.5], [1.5, 3.0])
        assert value == pytest.approx(2 * np.array([table.photons[row, :5].sum(), table.photons[row, 5:].sum()]))


def test_shipped_plasma_shines_as_a_plasma_does():
    model = parse_model("apec")
    flux = measure_flux(model, (np.array([1.0, 1.0, 0.0, 1.0]), np.zeros((4, 4))), (0.5, 2.0), True)
    assert 0.8e-9 < flux.erg < 1.6e-9  # APEC: 1.2e-9 erg cm-2 s-1
    low, high = shipped_table().kt_kev
    assert low < 0.1
    assert high > 8


def test_second_components_are_numbered_and_parameters_set():
    model = parse_model("powerlaw + powerlaw").set(**{"powerlaw_2.PhoIndex": 3.0, "powerlaw.norm": {"frozen": True}})
    assert model.names == ("powerlaw.PhoIndex", "powerlaw.norm", "powerlaw_2.PhoIndex", "powerlaw_2.norm")
    assert model.defaults[2] == 3.0
    assert model.parameters[1].frozen
    with pytest.raises(ConfigError, match=r"no parameter bbody.kT; expected one of powerlaw.PhoIndex"):
        model.set(**{"bbody.kT": 1.0})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tbabs*wabs", "no component 'wabs'"),
        ("tbabs", "at least one of powerlaw"),
        ("powerlaw*bbody", "one additive side"),
        ("tbabs + powerlaw", "joins additive"),
        ("powerlaw -", "expected components joined"),
        ("powerlaw / bbody", "expected components joined"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_in_one_line(text, why):
    with pytest.raises(ConfigError, match=why) as refusal:
        parse_model(text)
    assert "\n" not in str(refusal.value)
