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
    values = np.array([0.17 if p.name.endswith("nH") else p.value * 1.07 for p in model.parameters])
    slopes = np.zeros((len(values), len(GRID.low)))
    model.on(GRID, values, slopes)
    for j, value in enumerate(values):
        if model.names[j].endswith("Redshift"):  # frozen: not asked for
            assert not slopes[j].any()
            continue
        step = np.zeros(len(values))
        step[j] = 1e-5 * value
        wanted = (model.on(GRID, values + step) - model.on(GRID, values - step)) / (2e-5 * value)
        assert np.allclose(slopes[j], wanted, rtol=2e-4, atol=1e-6 * np.abs(wanted).max()), model.names[j]


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


def thawed(**values):
    model = parse_model("apec").set(**{f"apec.{name}": {"frozen": False} for name in ("Abundanc", "Redshift")})
    return model.set(**{f"apec.{name}": value for name, value in values.items()})


@pytest.mark.parametrize("kt", [0.3, 1.1, 6.0])
@pytest.mark.parametrize("abundance", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("redshift", [0.0, 0.8])
def test_slopes_by_temperature_abundance_and_redshift(kt, abundance, redshift):
    model, fine = thawed(kT=kt, Abundanc=abundance, Redshift=redshift), Grid.of(EDGES[:-1], EDGES[1:])
    slopes = np.zeros((4, len(fine.low)))
    values = model.defaults
    at = model.on(fine, values, slopes)
    assert np.allclose(model.on(fine, values), at, rtol=1e-9, atol=1e-12 * at.max())
    for j, step in ((0, 1e-5), (1, 1e-5), (3, 1e-5)):
        off = step * np.eye(4)[j]
        wanted = (model.on(fine, values + off) - model.on(fine, values - off)) / (2 * step)
        assert np.allclose(slopes[j], wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max()), model.names[j]
    # lines cross edges of bins: over many bins the slopes add up to what the photons change by
    ends, passed = redshift + 0.15 * np.array([-0.5, 0.5]), np.zeros(len(fine.low))
    for z in np.linspace(*ends, 121):
        slopes[:] = 0
        model.on(fine, [*values[:2], z, values[3]], slopes)
        passed += slopes[2] / 121 * 0.15
    low, high = (model.on(fine, np.array([*values[:2], z, values[3]])) for z in ends)
    smooth = np.exp(-0.5 * (np.subtract.outer(np.log(fine.middle), np.log(fine.middle)) / 0.04) ** 2)
    inside = (fine.middle > 0.4) & (fine.middle < 8)
    wanted = (smooth @ (high - low))[inside]
    assert np.abs((smooth @ passed)[inside] - wanted).max() < 0.03 * np.abs(wanted).max()


def test_redshift_is_the_source_s_spectrum_shifted_and_thinned():
    """XSPEC: photons of the bins E (1 + z), divided by 1 + z."""
    for kt, z in ((0.5, 0.03), (2.0, 0.5), (8.0, 2.5)):
        here = parse_model("apec").photons([kt, 1.0, 0.0, 1.0], EDGES[:-1] * (1 + z), EDGES[1:] * (1 + z)) / (1 + z)
        for abundance in (1.0, 1.0 + 1e-12):
            there = parse_model("apec").photons([kt, abundance, z, 1.0], EDGES[:-1], EDGES[1:])
            assert np.allclose(there, here, rtol=1e-9, atol=1e-13 * here.max())
    edges, z = np.linspace(0.1, 9, 3000), 0.4
    energy = [
        (parse_model("apec").photons([3.0, 1.0, s, 1.0], e[:-1], e[1:]) * 0.5 * (e[1:] + e[:-1])).sum()
        for s, e in ((0.0, edges * (1 + z)), (z, edges))
    ]
    assert energy[0] / energy[1] == pytest.approx((1 + z) ** 2, rel=1e-6)  # of luminosity distance over D_A (1 + z)


def test_abundance_is_that_of_the_metals():
    table = shipped_table()
    edges, row = table.edges_kev, 60
    kt = 10 ** table.log_t[row] / KELVIN_PER_KEV
    photons, metals = (part[row].astype(float) for part in (table.photons, table.metals))
    for abundance in (0.0, 0.3, 1.0, 4.0):
        found = parse_model("apec").photons([kt, abundance, 0.0, 1.0], edges[:-1], edges[1:])
        wanted = photons + (abundance - 1) * metals
        assert np.allclose(found, wanted, rtol=1e-6, atol=2e-7 * photons)


def test_a_table_without_metals_has_solar_abundance_only():
    table = shipped_table()
    model = parse_model("apec", PlasmaTable(table.log_t, table.edges_kev, table.photons, "APEC of PIMMS"))
    assert np.all(model.on(GRID, np.array([1.0, 1.0, 0.2, 1.0])) >= 0)
    why = r"^apec.Abundanc: expected 1, frozen: the plasma table is of solar abundance \(APEC of PIMMS\)$"
    with pytest.raises(ConfigError, match=why):
        model.on(GRID, np.array([1.0, 0.5, 0.0, 1.0]))
    free = model.set(**{"apec.Abundanc": {"frozen": False}})
    with pytest.raises(ConfigError, match=why):
        free.on(GRID, free.defaults, np.zeros((4, len(GRID.low))))


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
