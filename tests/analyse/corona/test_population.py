"""The hierarchical model on a small spectrograph: few lines, few stars."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from analyse.corona.hierarchy import Choices, NetworkPriors, Population
from analyse.corona.stars import Stars, look
from analyse.corona.windows import KNOTS, Box, Windows
from analyse.diagnostics import Draws
from sim.corona.truth import Setting, area_factor, draw
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument, shipped
from stream.errors import ConfigError
from tests.pictures import check

SEED = 7


@pytest.fixture(scope="module")
def forward():
    return Forward.through(Instrument.of("small", np.linspace(12, 22.5, 701), 50.0, 0.03), least=0.02)


@pytest.fixture(scope="module")
def windows(forward):
    return Windows.around(forward, 8)


@pytest.fixture(scope="module")
def truth(forward):
    setting = Setting(shares=(1, 0, 0), snr=(8, 10), metals_dex=0, abundance_dex=0, area=0, shift_kms=20)
    return draw(forward, setting, 3, np.random.default_rng(SEED))


@pytest.fixture(scope="module")
def stars(forward, truth):
    counts = np.random.default_rng(SEED).poisson(forward.counts(truth.coronae, truth.line_photons))
    names = ("log_t", "log_n", "log_norm")
    return Stars.of(counts, truth.coronae.exposure_s, ["a", "b", "c"], {n: truth.rows[n].astype(float) for n in names})


def test_windows_are_about_the_lines_that_tell_most(forward, windows):
    assert windows.count == 8 == len(windows.names) == len(windows.scatter)
    assert "fe_17 15.013" in windows.names
    assert any(name.startswith("o_7 21.602") for name in windows.names)
    middle = forward.instrument.middle_a
    for row in windows.lines[:8]:
        assert np.abs(middle[windows.bins[windows.used]] - forward.lines.wavelength_a[row]).min() < 0.01
    assert len(np.unique(windows.bins[windows.used])) == windows.used.sum()  # no bin counts twice
    assert windows.used.sum() < 0.5 * len(middle)
    assert Windows.around(forward, 10_000).count <= len(forward.lines)
    with pytest.raises(ConfigError, match="expected a range within"):
        Windows.around(forward, 8, Box((5.0, 7.0)))
    with pytest.raises(ConfigError, match="no camera"):
        Windows.around(replace(forward, instrument=replace(forward.instrument, response=object())), 8)


def test_spectra_that_are_none_are_one_line(windows):
    bins = windows.forward.instrument.channels
    for counts, seconds, said in (
        (np.zeros(bins), 1e4, "no counts"),
        (np.full(bins, -1.0), 1e4, "counts of 0 or more"),
        (np.full(bins, np.nan), 1e4, "counts of 0 or more"),
        (np.ones(bins), 0.0, "exposure above 0 s"),
        (np.zeros((0, bins)), 1e4, "one or more"),
    ):
        with pytest.raises(ConfigError, match=said):
            Stars.of(counts, seconds)
    with pytest.raises(ConfigError, match="expected 700 of small"):
        look(windows, Stars.of(np.ones(bins + 1), 1e4))
    dark = np.ones(bins)
    dark[windows.bins[windows.used]] = 0
    with pytest.raises(ConfigError, match="near any of its 8 lines"):
        look(windows, Stars.of(dark, 1e4))


def test_the_first_look_is_near_the_truth(windows, stars, truth):
    data, x_t = look(windows, stars)
    assert np.abs(6 + expit(x_t) - truth.rows["log_t"]).max() < 0.15
    assert np.abs(data["ln_norm"] / np.log(10) - truth.rows["log_norm"]).max() < 0.3
    assert data["counts"].sum() == stars.counts[:, windows.bins[windows.used]].sum()


def test_choices_and_networks_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="expected poisson or normal"):
        Choices(likelihood="gauss")
    with pytest.raises(ConfigError, match="expected a fraction"):
        Choices(calibration=-0.1)
    with pytest.raises(ConfigError, match=r"expected probabilities \(3, 8\)"):
        NetworkPriors(present=np.full((3, 7), 0.5)).check(3, 8)
    with pytest.raises(ConfigError, match="expected a mean"):
        NetworkPriors(width_kms=(0.0, 1.0)).check(3, 8)
    with pytest.raises(ConfigError, match="together"):
        NetworkPriors(weights=np.ones((3, 1))).check(3, 8)
    with pytest.raises(ConfigError, match="of 3 stars"):
        NetworkPriors(np.ones((3, 8)), None, np.ones((3, 1)), np.ones((3, 2, 2)), np.ones((3, 1, 2, 2))).check(3, 8)


@pytest.fixture(scope="module")
def jax():
    pytest.importorskip("numpyro")
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def test_light_is_that_of_the_forward_model(jax, forward, windows, truth):
    from analyse.corona.light import Light

    c = truth.coronae
    main = windows.lines[: windows.count]
    factor = np.ones_like(c.line_factor)
    factor[:, main] = c.line_factor[:, main]
    still = replace(c, line_factor=factor, area_factor=np.ones_like(c.area_factor))
    star = {"log_t": c.log_t[:, 0], "log_n": c.log_n, "ln_norm": np.log(c.norm[:, 0])}
    star["ln_background"] = np.log(c.background)
    lines = {"shift_kms": c.shift_kms, "sigma_kms": c.sigma_kms, "ln_factor": np.log(factor[:, main])}
    found, own = jax.jit(Light(windows.tables()).counts)(star, lines, c.exposure_s)
    expected = windows.cut(forward.counts(still))
    used = windows.used
    np.testing.assert_allclose(np.asarray(found)[:, used], expected[:, used], rtol=0.02, atol=0.02 * expected.mean())
    assert np.asarray(found)[:, used].sum() == pytest.approx(expected[:, used].sum(), rel=3e-3)
    assert np.all(np.asarray(own) <= np.asarray(found) * (1 + 1e-5))

    knots = 0.3 * np.random.default_rng(SEED).standard_normal((3, KNOTS))
    off = replace(still, area_factor=area_factor(forward, knots))
    found, _ = jax.jit(Light(windows.tables()).counts)(star, lines | {"ln_area": knots}, c.exposure_s)
    expected = windows.cut(forward.counts(off))
    np.testing.assert_allclose(np.asarray(found)[:, used], expected[:, used], rtol=0.02, atol=0.02 * expected.mean())

    spread = np.array([0.2, 0.1, 0.3])
    nodes, weight = np.polynomial.hermite_e.hermegauss(7)
    several = replace(
        still, log_t=c.log_t[:, :1] + spread[:, None] * nodes, norm=c.norm[:, :1] * (weight / weight.sum())
    )
    found, _ = jax.jit(Light(windows.tables(), 7).counts)(star | {"spread": spread}, lines, c.exposure_s)
    expected = windows.cut(forward.counts(several))
    assert np.asarray(found)[:, used].sum() == pytest.approx(expected[:, used].sum(), rel=5e-3)


def test_the_density_rises_to_the_truth_and_lines_are_told_to_be_there(jax, windows, stars, truth):
    from analyse.corona.hierarchy import Hierarchy
    from analyse.corona.sampler import Sampler

    data, _ = look(windows, stars)
    gone = 0  # the line whose light is taken out of the counts of the first star
    counts = data["counts"].copy()
    counts[0][windows.owner == gone] = 0
    present = np.full((3, 8), 0.5)
    data |= {"counts": counts} | NetworkPriors(present=present, width_kms=(75.0, 40.0)).data()
    sampler = Sampler(Hierarchy(windows, Choices(population=Population(), own_lines=True, own_motion=True)))
    rows = truth.rows
    start = sampler.model.start(rows["log_t"] * 0.0, np.log(10) * rows["log_norm"].astype(float), data["ln_background"])
    start |= {"x_t": np.log((rows["log_t"] - 6) / (7 - rows["log_t"])).astype(float)}
    sampler.layout = {name: np.shape(v) for name, v in sorted(start.items())}
    flat = np.concatenate([np.ravel(start[name]) for name in sampler.layout])
    names = sampler.names
    assert len(names) == len(flat) == len(set(names))
    off = flat.copy()
    off[names.index("x_t[1]")] += 2.0
    here, there = sampler.density(np.stack([flat, off]), data)
    assert here > there + 10
    told = np.asarray(sampler.told(flat[None], data))[0]
    bright = windows.names.index("fe_17 15.013")
    assert told.shape == (3, 8)
    assert told[rows["log_t"].argmax(), bright] > 0.95
    best, root = sampler.climb(data, flat)
    assert sampler.density(best[None], data)[0] >= here - 1e-3
    assert root.shape == (len(flat), len(flat))


def test_the_normal_likelihood_has_a_systematic(jax, windows, stars):
    from analyse.corona.hierarchy import Hierarchy
    from analyse.corona.sampler import Sampler

    data, x_t = look(windows, stars)
    sampler = Sampler(Hierarchy(windows, Choices("normal", spread=True, abundances=(0.15, 0.1))))
    start = sampler.model.start(x_t, data["ln_norm"], data["ln_background"])
    sampler.layout = {name: np.shape(v) for name, v in sorted(start.items())}
    sites = {name.partition("[")[0] for name in sampler.names}
    assert {"ln_systematic", "ln_spread", "metals", "element", "mean_t", "ln_sd_n"} <= sites
    flat = np.concatenate([np.ravel(start[name]) for name in sampler.layout])
    energy, slope = sampler.slope(flat, data)
    assert np.isfinite(float(energy))
    assert np.all(np.isfinite(np.asarray(slope)))


def test_batches_give_the_population_that_all_stars_have():
    """Draws of stars with known Gaussian likelihoods: the population is that of their exact joint density."""
    pytest.importorskip("emcee")
    from analyse.corona.population import Batch, combine, moments

    rng, interim = np.random.default_rng(3), Population()
    true, noise = rng.normal(0.8, 0.5, 24), 0.3
    seen = true + noise * rng.standard_normal(24)
    tight = 1 / (noise**-2 + interim.sd_t**-2)
    x_t = seen * tight / noise**2 + np.sqrt(tight) * rng.standard_normal((2, 400, 24))
    a_n = rng.standard_normal((2, 400, 24))  # densities of which nothing is known
    none = Draws("nuts", x_t[..., :1], 0.0, np.ones(1), np.ones(1), 0, {}, {})
    batches = [
        Batch(none, [], {"x_t": x_t[..., rows], "a_n": a_n[..., rows]}, None, None)
        for rows in (slice(0, 12), slice(12, 24))
    ]
    population, weights = combine(batches, interim, seed=1)
    means, sds = np.meshgrid(np.linspace(-0.5, 2, 120), np.linspace(np.log(0.1), np.log(3), 120), indexing="ij")
    variance = np.exp(2 * sds)[..., None] + noise**2
    ln_p = -0.5 * ((seen - means[..., None]) ** 2 / variance + np.log(variance)).sum(-1)
    ln_p -= 0.5 * (means / 0.7) ** 2 + 0.5 * ((sds - np.log(1.6)) / 0.35) ** 2
    p = np.exp(ln_p - ln_p.max())
    p /= p.sum()
    exact = (p * means).sum(), (p * sds).sum()
    wide = np.sqrt((p * means**2).sum() - exact[0] ** 2), np.sqrt((p * sds**2).sum() - exact[1] ** 2)
    flat = population.variables.reshape(-1, 4)
    assert flat[:, 0].mean() == pytest.approx(exact[0], abs=0.35 * wide[0])
    assert flat[:, 1].mean() == pytest.approx(exact[1], abs=0.5 * wide[1])
    assert flat[:, 0].std() == pytest.approx(wide[0], rel=0.3)
    np.testing.assert_allclose(weights.sum(axis=(0, 1)), 1.0)
    shrunk = (weights * x_t).sum(axis=(0, 1))
    assert np.mean((shrunk - true) ** 2) < np.mean((x_t.mean(axis=(0, 1)) - true) ** 2) * 1.02
    mean, sd = moments(np.array(0.0), np.array(1e-3), (6.0, 7.0))
    assert (float(mean), float(sd)) == pytest.approx((6.5, 2.5e-4), rel=1e-3)


def test_a_population_is_drawn_with_its_stars_and_their_truth(windows, stars, tmp_path, drawn):
    from analyse.corona.population import Batch, PopulationPosterior
    from analyse.corona.population_plots import plot_population

    rng, weights = np.random.default_rng(5), np.full((2, 200, 3), 1 / 400)
    sites = {
        name: 0.3 * rng.standard_normal((2, 200, 3)) + 0.4 for name in ("x_t", "a_n", "ln_light", "shift", "width")
    }
    sites["ln_background"] = sites["ln_light"]
    hyper = np.array([0.3, 0.4, 0.0, 0.5]) + 0.1 * rng.standard_normal((2, 200, 4))
    draws = Draws("nuts", hyper, 0.0, np.full(4, 900.0), np.ones(4), 0, {}, {})
    batch, choices = Batch(draws, list("abcd"), sites, None, None), Choices(population=Population())
    done = PopulationPosterior(stars, windows, choices, [batch], [np.arange(3)], draws, weights)
    made = plot_population(tmp_path, done)
    for path, figure in zip(made, drawn, strict=True):
        check(path, figure)
        assert "3 coronae, small, gates passed" in figure.get_suptitle()
    stars_axes = drawn[0].axes[2]
    np.testing.assert_allclose(stars_axes.get_lines()[-1].get_xdata(), stars.truth["log_t"])
    above = drawn[0].axes[0].get_lines()[0]  # the density of the population has an area of 1
    assert np.trapezoid(above.get_ydata(), above.get_xdata()) == pytest.approx(1, abs=0.05)


def test_batches_whose_chains_went_on_are_thinned_to_the_others():
    from analyse.corona.population import Batch, evened

    def batch(steps):
        x = np.arange(2 * steps * 3.0).reshape(2, steps, 3)
        stats = {"n_steps": x[..., 0], "diverging": x[..., 0] > 1e9, "root": np.eye(3)}
        return Batch(Draws("nuts", x, 0.0, np.full(3, 500.0), np.ones(3), 0, stats, {}), [], {"x_t": x}, None, None)

    short, long = evened([batch(100), batch(150)])
    assert short.sites["x_t"].shape == long.sites["x_t"].shape == long.draws.variables.shape == (2, 100, 3)
    assert long.draws.stats["n_steps"].shape == (2, 100)
    assert long.draws.stats["root"].shape == (3, 3)
    np.testing.assert_array_equal(long.sites["x_t"], long.draws.variables)
    assert np.all(np.diff(long.sites["x_t"][0, :, 0]) > 0)
    assert long.sites["x_t"][0, -1, 0] == batch(150).sites["x_t"][0, -1, 0]


def test_chains_go_on_where_they_stood(jax, windows, stars):
    """A well-behaved posterior: draws that were taken stay, more of them follow, and gates are met in the end."""
    from analyse.corona.hierarchy import Hierarchy
    from analyse.corona.sampler import Chains, Sampler

    class Round(Hierarchy):
        def __call__(self, data):
            import numpyro
            from numpyro.distributions import Normal

            numpyro.sample("x", Normal(data["at"], 2.0).expand((2,)).to_event(1))

    sampler = Sampler(Round(windows), draws=40)
    data = {"at": np.array(3.0)}
    done = sampler.run(data, {"x": np.zeros(2)}, seed=1)
    assert done.about["steps"] == done.variables.shape[1] > 40  # 160 draws cannot have an ESS of 400
    chains = Chains(sampler, (data, done.stats["centre"], done.stats["root"], done.about["acceptance"]), 1)
    few, *_ = chains.drawn(40)
    np.testing.assert_array_equal(few, done.variables[:, :40])
    more, *fields = chains.drawn(1000)
    np.testing.assert_array_equal(more[:, : done.variables.shape[1]], done.variables)
    assert more.mean(axis=(0, 1)) == pytest.approx(3.0, abs=0.25)
    assert more.std(axis=(0, 1)) == pytest.approx(2.0, abs=0.2)
    assert fields[1].shape == (4, 1000)


def test_directions_that_are_wider_than_thought_are_found():
    pytest.importorskip("numpyro")
    from analyse.corona.sampler import widened

    rng = np.random.default_rng(4)
    z = rng.standard_normal((30, 400))
    assert widened(z) is None
    along = rng.standard_normal(30)
    along /= np.linalg.norm(along)
    wide = z + 3 * np.outer(along, along @ z)  # four times as wide
    stretch = widened(wide)
    assert np.linalg.norm(stretch @ along) == pytest.approx(4, rel=0.2)
    across = np.linalg.svd(along[None])[2][1:]
    assert np.abs(np.linalg.norm(stretch @ across.T, axis=0) - 1).max() < 0.3


@pytest.mark.slow
def test_a_small_population_is_sampled_drawn_published_and_read(jax, tmp_path, drawn):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("emcee")
    from click.testing import CliRunner

    from analyse.corona.population_commands import corona_population
    from sim.corona.sets import write_set

    forward = Forward.through(Instrument.of("small", np.linspace(12, 22.5, 701), 50.0, 0.03), least=0.02)
    setting = Setting(shares=(1, 0, 0), snr=(6, 10), metals_dex=0, abundance_dex=0)
    list(write_set(tmp_path / "set.h5", forward, setting, 4, seed=2))
    words = [
        tmp_path / "set.h5",
        "--spectra",
        4,
        "--lines",
        6,
        "--batch",
        2,
        "--evidence",
        500,
        "--plot",
        "--out",
        tmp_path / "o",
    ]
    done = CliRunner().invoke(corona_population, [str(w) for w in words])
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "mean_log_t" in done.output
    labels = [
        check(tmp_path / "o" / name, one) for name, one in zip(("stars.png", "population.png"), drawn, strict=True)
    ]
    assert {"log T (K)", "log n (cm$^{-3}$)", "density (dex$^{-1}$)"} == set(labels[0])
    assert {"sd of log T (dex)", "mean of log n (cm$^{-3}$)"} <= set(labels[1])
    with xarray.open_datatree(tmp_path / "o" / "posterior.nc", engine="h5netcdf") as tree:
        assert {"posterior", "lines", "population", "sample_stats", "observed_data"} == set(tree.children)
        log_t = tree["posterior"]["log_t"]
        assert log_t.sizes["star"] == 4
        np.testing.assert_allclose(tree["posterior"]["weight"].sum(("chain", "draw")), 1.0)
        assert tree["posterior"].attrs["gates"] == "passed"
    report = json.loads((tmp_path / "o" / "population.json").read_text())
    assert [len(batch["stars"]) for batch in report["batches"]] == [2, 2]
    assert report["batches"][0]["evidence"]["ess"] > 0
    from astropy.table import Table

    table = Table.read(tmp_path / "o" / "stars.fits")
    pulls = (table["log_t"] - table["log_t_true"]) / table["log_t_sd"]
    assert np.abs(pulls).max() < 4
    assert np.all(table["log_t_q05"] < table["log_t_q95"])


def test_the_command_refuses_what_is_no_set_in_one_line(tmp_path):
    pytest.importorskip("numpyro")
    pytest.importorskip("xarray")
    from click.testing import CliRunner

    from analyse.corona.population_commands import corona_population
    from sim.corona.sets import write_set

    (tmp_path / "no.h5").write_bytes(b"no")
    done = CliRunner().invoke(corona_population, [str(tmp_path / "no.h5"), "--out", str(tmp_path / "o")])
    assert isinstance(done.exception, ConfigError)
    assert "\n" not in str(done.exception)
    forward = Forward.through(Instrument.of("small", np.linspace(12, 22.5, 701), 50.0, 0.03), least=0.02)
    list(write_set(tmp_path / "set.h5", forward, Setting(), 3, seed=2))
    for words, said in (
        (("--spectra", "4"), "expected 3 at most"),
        (("--spectra", "2", "--log-t", "5", "7"), "expected a range within"),
        (("--spectra", "2", "--network", str(tmp_path / "no.h5")), "network's priors"),
        (("--rows", "0,3"), "expected 3 at most"),
        (("--rows", "0,0"), "each once"),
        (("--rows", "-1"), "each once"),
        (("--rows", "1", "--split", "train"), "rows are of the whole set"),
        (("--select", "flagged"), "expected both"),
        (("--select", "flagged", "--coronae", str(tmp_path / "no.h5")), "expected coronae.fits"),
    ):
        done = CliRunner().invoke(corona_population, [str(tmp_path / "set.h5"), "--out", str(tmp_path / "o"), *words])
        assert isinstance(done.exception, ConfigError), done.output
        assert said in str(done.exception)
    assert not (tmp_path / "o").exists()


def test_rows_are_chosen_by_what_the_network_said(tmp_path):
    from astropy.io import fits

    from analyse.corona.population_commands import chosen_of

    kinds = [("NAME", "S12"), ("FLAG", "u1"), ("P_ONE", "<f4")]
    kinds += [(f"LOG_T{end}_{side}68", "<f4") for end in ("", "_ANY") for side in ("LO", "HI")]
    rows = np.zeros(5, kinds)
    rows["NAME"] = [b"a.h5{4}", b"a.h5{0}", b"b.h5{1}", b"a.h5{2}", b"a.h5{3}"]
    rows["FLAG"], rows["P_ONE"] = [0, 2, 4, 0, 0], [1, 1, 1, 0, 1]
    rows["LOG_T_HI68"], rows["LOG_T_ANY_HI68"] = [0.1, 9, 9, 0.01, 0.02], [0, 9, 9, 0.3, 9]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows, name="CORONAE")]).writeto(tmp_path / "coronae.fits")

    def chosen(*how):
        return chosen_of(tmp_path / "coronae.fits", "a.h5", *how).tolist()

    assert chosen("flagged", 10) == [0]
    assert chosen("uncertain", 2) == [2, 4]  # of the interval that holds for it: with one temperature or any
    assert chosen("uncertain", 10) == [2, 3, 4]
    with pytest.raises(ConfigError, match=r"no spectrum of c\.h5 that is flagged"):
        chosen_of(tmp_path / "coronae.fits", "c.h5", "flagged", 3)


def test_what_is_seen_does_not_depend_on_temperature_by_the_norm(jax, windows, forward):
    """The light of a corona by its variables is that of the forward model: what is sampled is what the counts tell."""
    from analyse.corona.light import Light
    from stream.corona.forward import Coronae

    log_t, log_n = np.array([6.02, 6.37, 6.98]), np.array([9.1, 10.2, 10.9])
    expected = forward.counts(Coronae.of(forward, log_t, 1.0, log_n))[:, windows.bins[windows.used]].sum(axis=1)
    np.testing.assert_allclose(windows.bright(log_t, log_n), np.log(expected), atol=0.1)
    np.testing.assert_allclose(Light(windows.tables()).bright(log_t, log_n), windows.bright(log_t, log_n), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("log_t", [6.005, 6.03, 6.995])
def test_stars_at_the_ends_of_the_box_pass_their_gates(jax, forward, windows, log_t):
    """Where a norm follows the temperature over decades, what is sampled must not bend."""
    from analyse.corona.population import Sampling, sample_population

    setting = Setting(shares=(1, 0, 0), snr=(9, 9), log_t=(log_t, log_t), metals_dex=0, abundance_dex=0, area=0)
    truth = draw(forward, setting, 1, np.random.default_rng(SEED))
    counts = np.random.default_rng(SEED).poisson(forward.counts(truth.coronae, truth.line_photons))
    done = sample_population(
        Stars.of(counts, truth.coronae.exposure_s), windows, Choices(own_lines=True, own_motion=True), Sampling(seed=1)
    )
    assert done.fault() is None
    draws = done.of_stars()["log_t"]
    assert abs(draws.mean() - log_t) < 4 * draws.std()
    assert 6 <= draws.min() <= draws.max() <= 7


def test_shipped_spectrographs_have_windows():
    for name in ("hetg", "euv"):
        windows = Windows.around(Forward.through(shipped(name)), 20)
        assert windows.count == 20
        assert windows.pairs[1].max() == len(windows.bins) - 1
