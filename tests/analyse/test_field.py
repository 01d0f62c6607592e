"""The joint posterior of a field: injected and recovered; the command."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from analyse.diagnostics import UnconvergedError
from analyse.field import Sampling, quantiles, refine_field, source_table, tile_table
from analyse.field_model import BANDS_KEV, build_field
from analyse.gibbs import Chain, gamma_above_one, sample_field
from analyse.labels import draw_labels, refine
from config.errors import ConfigError
from raysieve import cli
from sim.sources.camera import built_in
from sim.sources.field import Setup, make_field
from sim.sources.files import write_event_list
from stream.imaging.detect import SOURCE, Detections
from stream.judges.catalogue import BAND_KEV, Seen, make_catalogue, net_counts
from stream.judges.sources import Judge, columns_to_features
from stream.transport.ogip import write_arf, write_rmf
from tests.stream.imaging.toys import SIGMA, expected

SECONDS = 1000.0
CAMERA = replace(built_in(), columns=96, rows=96, kept={})
SPLIT = np.array([0.5, 0.2, 0.3])  # of the light in the bands, of sources and of the sky


def seen_of_rates(places, rates, sky, seed, exposure=None):
    """Photons of sources (x, y) of rates (n, B) s-1 on a sky (rows, columns, B) counts s-1 px-1."""
    rng, found = np.random.default_rng(seed), []
    seconds = np.full(sky.shape[:2], SECONDS) if exposure is None else exposure
    for b in range(3):
        image = expected(sky[..., b], [(*p, r) for p, r in zip(places, rates[:, b], strict=True)], seconds)
        y, x = np.nonzero(counts := rng.poisson(image))
        x, y = (np.repeat(axis, counts[y, x]) for axis in (x, y))
        found.append((x, y, rng.uniform(*BANDS_KEV[b : b + 2], len(x))))
    x, y, energy = (np.concatenate(part) for part in zip(*found, strict=True))
    channel = CAMERA.response.channel[np.searchsorted(CAMERA.response.e_min_kev, energy) - 1]
    return Seen(x, y, energy, rng.uniform(0, SECONDS, len(x)), channel, seconds, CAMERA.response, SIGMA)


def detections(places, rates, shape):
    table = np.zeros(len(places), SOURCE)
    table["id"], table["sigma_px"] = np.arange(1, len(places) + 1), SIGMA
    table["x"], table["y"], table["rate"] = *np.array(places).reshape(-1, 2).T, rates
    blank = np.zeros(shape)
    return Detections(table, blank.astype(np.int32), blank, blank, 0.0)


def coverage(draws, truth):
    """Share of truths within the central 68 and 90 % of draws (chain, draw, ...)."""
    rank = (draws < truth).mean(axis=(0, 1))
    return np.array([np.abs(rank - 0.5) < level / 2 for level in (0.68, 0.90)])


def test_rates_and_normalisations_are_covered_as_often_as_said():
    places = [(12.3, 11.8), (30.1, 12.4), (34.6, 14.0), (15.0, 36.6), (36.2, 35.1), (0.4, 24.0)]
    rates = np.array([0.2, 0.05, 0.02, 0.01, 0.4, 0.05])[:, None] * SPLIT
    level = np.array([[0.5, 1.0], [2.0, 1.5]])  # of the sky's tiles, over the map
    glow = np.full((48, 48), 5e-5)
    sky = np.kron(level, np.ones((24, 24)))[..., None] * glow[..., None] * SPLIT
    exposure = np.full((48, 48), SECONDS)
    exposure[:, 13] = 0
    held = {"rates": [], "normalisations": []}
    for seed in range(30):
        seen = seen_of_rates(places, rates, sky, seed, exposure)
        model = build_field(seen, detections(places, rates.sum(axis=1), glow.shape), glow, tiles=2)
        drawn = sample_field(model, rates.sum(axis=1), seed, chains=2, draws=300)
        held["rates"].append(coverage(drawn.rates, rates).reshape(2, -1))
        light = drawn.normalisations * model.share
        held["normalisations"].append(coverage(light, level.reshape(-1, 1) * SPLIT).reshape(2, -1))
    for name, each in held.items():
        inside = np.concatenate(each, axis=1).mean(axis=1)
        assert inside == pytest.approx([0.68, 0.90], abs=0.06), name


def test_of_a_blended_pair_the_joint_rates_are_right_where_the_circles_are_not():
    places, rates = [(29.0, 32.0), (34.0, 32.0)], np.array([0.6, 0.12])[:, None] * SPLIT
    sky = np.full((64, 64, 3), 3e-5) * SPLIT
    circles, joint = [], []
    for seed in range(12):
        seen = seen_of_rates(places, rates, sky, seed)
        found = make_catalogue(seen)
        assert len(found) == 2
        model = build_field(seen, found.detections, sky.sum(axis=-1))
        drawn = sample_field(model, found.detections.sources["rate"], seed, chains=2, draws=400)
        circles.append([net_counts(s, seen.response, BAND_KEV)[0] / s.exposure_s for s in found.spectra])
        joint.append(drawn.rates.sum(axis=-1).mean(axis=(0, 1)))
    circles, joint = (np.mean(one, axis=0) / rates.sum(axis=1) - 1 for one in (circles, joint))
    assert abs(joint[1]) < 0.06
    assert abs(circles[1]) > 2 * abs(joint[1]) + 0.04


def test_the_posterior_is_that_of_its_density():
    """One source, one tile, the place as found: draws beside the density on a grid."""
    glow, places = np.full((16, 16), 2e-3), [(8.0, 8.0)]
    seen = seen_of_rates(places, 0.04 * SPLIT[None], glow[..., None] * SPLIT, 4)
    model = build_field(seen, detections(places, [0.04], glow.shape), glow, tiles=1)
    chain = Chain(model, np.array([0.04]), np.random.SeedSequence(1))
    drawn = np.empty(10_000)
    for k in range(len(drawn)):
        chain.share()
        chain.draw()
        drawn[k] = chain.rates[0, 0]
    rate, level = np.linspace(2e-4, 0.06, 50), np.linspace(0.3, 2.0, 30)
    log = np.empty((50, 30))
    kept = []
    for _ in range(30):  # the others integrated over: a grid for each of some draws
        for _ in range(10):
            chain.share()
            chain.draw()
        others = chain.rates.copy(), chain.normalisations.copy()
        for i, r in enumerate(rate):
            for j, a in enumerate(level):
                chain.rates, chain.normalisations = others[0].copy(), others[1].copy()
                chain.rates[0, 0], chain.normalisations[0, 0] = r, a
                log[i, j] = chain.log_posterior()
        weight = np.exp(log - log.max()).sum(axis=1)
        kept.append(weight / weight.sum())
        chain.rates, chain.normalisations = others
    density = np.mean(kept, axis=0)
    mean = np.sum(rate * density)
    sd = np.sqrt(np.sum((rate - mean) ** 2 * density))
    assert drawn.mean() == pytest.approx(mean, abs=0.1 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.06)


def test_gammas_above_one():
    drawn = {n: gamma_above_one(np.full(40_000, float(n)), np.random.default_rng(n)) for n in (0, 1, 2, 30)}
    x = np.linspace(1, 80, 800_001)
    for n, values in drawn.items():
        density = x ** (n - 1.0) * np.exp(-x)
        assert values.min() >= 1
        assert values.mean() == pytest.approx(np.sum(x * density) / density.sum(), rel=0.01)


@pytest.fixture(scope="module")
def small():
    """A field of the Galaxy, small."""
    return make_field(
        CAMERA, Setup(density=1.0, exposure_s=8000.0, knots=4.0, diffuse=2.0, numbers={"LMXB": 3}), seed=5
    )


@pytest.fixture(scope="module")
def done(small):
    from sim.sources.catalogue import seen_of

    seen = seen_of(small)
    return refine_field(seen, make_catalogue(seen, 4.5), Judge("sources"), -1.5, Sampling(seed=3))


def test_all_photons_have_one_origin(done):
    sources = (done.rates * done.model.seconds[:, None]).sum(axis=(2, 3))
    total = sources + (done.normalisations * done.model.expected).sum(axis=(2, 3))
    photons = done.model.photons.sum()
    assert total.mean() == pytest.approx(photons, rel=0.01)
    knots = (done.rates * done.model.seconds[:, None]).sum(axis=-1) * done.is_diffuse()
    assert done.diffuse_counts().sum(axis=(2, 3)) == pytest.approx(total - sources + knots.sum(axis=-1))
    assert done.sampled.fault() is None
    assert 3 < len(done.found) < 60


def test_labels_are_those_of_the_weighted_draws(done):
    judge, found = Judge("sources"), done.found
    prior = judge.prior_at(np.full(len(found), -1.5))
    x, error = columns_to_features(judge.features, found.columns, len(found))
    total, weights = np.zeros_like(done.labels.after), np.zeros(len(found))
    for d in range(done.rates.shape[1]):
        now, exact = x.copy(), error.copy()
        for name, value in done.features.items():
            now[:, judge.features.index(name)], exact[:, judge.features.index(name)] = value[0, d], 0.0
        told = judge.judge(now, exact, prior)
        weight = np.exp(told.log_evidence - done.labels.before.shape[1])
        total += weight[:, None] * np.column_stack([told.p, told.outlier])
        weights += weight
    slow = total / weights[:, None]
    assert np.abs(done.labels.after - slow).max() < 0.15  # of 250 draws, weighted
    assert np.abs(done.labels.after - slow).mean() < 0.01
    share = np.array([(done.labels.label == c).mean(axis=(0, 1)) for c in range(len(judge.classes) + 1)]).T
    assert np.abs(share - done.labels.after).max() < 0.06
    np.testing.assert_allclose(done.labels.after.sum(axis=1), 1, atol=1e-5)


def test_features_that_do_not_move_keep_their_classes(done):
    """Refined features are on the scale of the measured ones."""
    found = done.found
    for name, value in refine(found, done.model, CAMERA.response, done.rates, done.normalisations).items():
        away = (value.mean(axis=(0, 1)) - found.columns[name])[found.detections.sources["net_counts"] > 40]
        assert abs(np.nanmedian(away)) < 0.1, name
    still = {name: np.tile(found.columns[name], (2, 20, 1)) for name in done.features}
    judge = Judge("sources")
    told = draw_labels(judge, found, still, None, 0)
    x, error = columns_to_features(judge.features, found.columns, len(found))
    for name in still:
        error[:, judge.features.index(name)] = 0.0
    np.testing.assert_allclose(told.after[:, :-1], judge.judge(x, error).p, atol=1e-6)


def test_tables_say_what_the_draws_say(done):
    rows, tiles = source_table(done), tile_table(done)
    assert len(rows) == len(done.found)
    np.testing.assert_allclose(rows["RATE"].sum(axis=1), rows["TOTAL"])
    assert ((rows["TOTAL_90"][:, 0] <= rows["TOTAL_68"][:, 0]) & (rows["TOTAL"] <= rows["TOTAL_68"][:, 1])).all()
    assert tiles["PHOTONS"].sum() == done.model.photons.sum()
    assert (tiles["X_HI"].max(), tiles["Y_HI"].max(), tiles["X_LO"].min()) == (96, 96, 0)
    np.testing.assert_allclose(tiles["COUNTS"], quantiles(done.diffuse_counts())["mean"])


@pytest.fixture(scope="module")
def events(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    write_event_list(small, folder / "a.fits")
    write_rmf(folder / "a.rmf", CAMERA.response)
    write_arf(folder / "a.arf", CAMERA.response)
    return folder


def run(folder, out, *more, events="a.fits"):
    words = ["analyse", "field", folder / events, "-c", "wfi", "--out", out]
    words += ["--rmf", folder / "a.rmf", "--arf", folder / "a.arf"] if "--rmf" not in more else []
    return CliRunner().invoke(cli, [*map(str, words), *map(str, more)], catch_exceptions=True)


def test_the_command_publishes_the_posterior(events, tmp_path):
    xarray = pytest.importorskip("xarray")
    done = run(events, tmp_path, "--seed", 3, "--plot")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "diffuse light" in done.output
    assert (tmp_path / "field.png").stat().st_size > 20_000
    with xarray.open_datatree(tmp_path / "posterior.nc", engine="h5netcdf") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "observed_data"}
        posterior = tree["posterior"]
        assert posterior.attrs["gates"] == "passed"
        assert posterior["rate"].dims == ("chain", "draw", "source", "band")
        assert (tree["sample_stats"]["rate_r_hat"] <= 1.01).all()
        assert (tree["sample_stats"]["normalisation_ess"] >= 400).all()
        assert tree["sample_stats"]["lp"].shape == posterior["rate"].shape[:2]
        rate = posterior["rate"].values.mean(axis=(0, 1))
    with fits.open(tmp_path / "field.fits", checksum=True) as hdus:
        np.testing.assert_allclose(hdus["SOURCES"].data["RATE"], rate)
        assert hdus["DIFFUSE"].data.shape == hdus["DIFFUSE_ERROR"].data.shape == (96, 96)
        assert hdus["SOURCES"].header["CLASS4"] == "diffuse"
        assert len(hdus["TILES"].data) == tree["observed_data"]["counts"].shape[0]


def test_the_same_seed_gives_the_same_draws_and_too_few_are_not_published(events, tmp_path):
    xarray = pytest.importorskip("xarray")
    kept = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "field.fits").write_bytes(b"of an earlier run")
        done = run(events, tmp_path / folder, "--seed", seed, "--draws", 10, "--chains", 2)
        assert isinstance(done.exception, UnconvergedError)
        assert "\n" not in str(done.exception)
        assert len(str(done.exception)) < 400
        assert [p.name for p in (tmp_path / folder).iterdir()] == ["posterior_failed.nc"]
        with xarray.open_datatree(tmp_path / folder / "posterior_failed.nc", engine="h5netcdf") as tree:
            kept.append(tree["posterior"]["rate"].values)
            assert tree["posterior"].attrs["gates"].startswith("failed: ")
    assert np.array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0], kept[2])


def test_without_sources_or_photons_the_posterior_is_that_of_the_diffuse_light(small, tmp_path, events):
    pytest.importorskip("xarray")
    empty = make_field(CAMERA, Setup(density=0.0, knots=0, texture=0.0), 1)
    for name, field in (("sky", empty), ("dark", replace(empty, events=empty.events[:0]))):
        write_event_list(field, tmp_path / f"{name}.fits")
        none = ("--set", "classify.threshold_sigma=9", "--plot")
        done = run(events, tmp_path / name, *none, events=tmp_path / f"{name}.fits")
        assert done.exit_code == 0, (done.output, done.exception)
        assert "0 sources" in done.output
        with fits.open(tmp_path / name / "field.fits") as hdus:
            assert len(hdus["SOURCES"].data) == 0
            counts, photons = (hdus["TILES"].data[key].sum() for key in ("COUNTS", "PHOTONS"))
            assert counts == pytest.approx(photons, rel=0.05, abs=3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--rmf", "none.rmf"), "no such file"),
        (("--rmf", ""), "expected the response of the camera"),
        (("--set", "classify.model=nothing"), "nothing"),
    ],
)
def test_bad_input_is_one_line(events, tmp_path, options, said):
    done = run(events, tmp_path / "out", *options)
    assert done.exception is not None
    assert said in str(done.exception), done.output
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_response_of_another_band_and_no_exposure_are_one_line(events, small, tmp_path):
    from stream.spectra.response import Response

    edges = np.linspace(20.0, 30.0, 51)
    other = Response.of((edges[:-1], edges[1:]), (edges[:-1], edges[1:]), np.eye(50), np.ones(50))
    write_rmf(tmp_path / "o.rmf", other)
    write_arf(tmp_path / "o.arf", other)
    done = run(events, tmp_path / "out", "--rmf", tmp_path / "o.rmf", "--arf", tmp_path / "o.arf")
    assert isinstance(done.exception, ConfigError)
    assert "o.rmf" in str(done.exception)
    path = tmp_path / "a.fits"
    path.write_bytes((events / "a.fits").read_bytes())
    fits.setval(path, "NREAD00", value=0)
    fits.setval(path, "NREAD00", value=0, ext=1)
    done = run(events, tmp_path / "out", events=path)
    assert isinstance(done.exception, ConfigError)
    assert "exposure above 0 s" in str(done.exception)
