import numpy as np
import pytest
import torch
from scipy.special import expit

from config.errors import ConfigError
from models.corona.calibrate import LEVELS, ask, calibrate, show, threshold, told
from models.corona.dataset import Spectra
from models.corona.evaluate import Stars, beside, evaluate, flags, interval
from models.corona.network import CoronaNet, components, log_density, residuals, unconstrained
from models.corona.train import Plan, Standing, load, train
from sim.corona.truth import SEEN
from stream.corona.posterior import COMPONENTS, NUMBERS, below, from_box, moments, quantile, to_box
from tests.sim.corona.coronae import BINS, made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coronae")
    return made(folder, 1, 250), made(folder, 2)


@pytest.fixture(scope="module")
def sets(files):
    given = Spectra(files[0])
    return given, Spectra(files[1], given.lines)


@pytest.fixture(scope="module")
def trained(sets, tmp_path_factory):
    out = tmp_path_factory.mktemp("net") / "net.npz"
    return train(*sets, out, Plan(steps=12, batch=64)), out


def mixture(rows=3, seed=0):
    rng = np.random.default_rng(seed)
    out = rng.standard_normal((rows, COMPONENTS, NUMBERS))
    out[..., 4:7] = 0.2 + rng.random((rows, COMPONENTS, 3))
    weight = rng.random((rows, COMPONENTS))
    out[..., 0] = weight / weight.sum(axis=1, keepdims=True)
    return out


def test_new_noise_and_brightness_leave_the_star_as_it_is(sets):
    given = sets[0]
    rows = np.arange(40)
    batch, same = given.drawn(rows, np.random.default_rng(0)), given.as_they_are(rows)
    ratio = batch.expected / np.maximum(same.expected, 1e-12)
    by = 10 ** (batch.target[:, 2] - same.target[:, 2])
    np.testing.assert_allclose(np.median(ratio, axis=1), by, rtol=2e-3)
    np.testing.assert_array_equal(batch.target[:, :2], same.target[:, :2])
    snr = given.truth["snr"][:40] * np.sqrt(by)
    assert snr.min() >= 0.99
    assert snr.max() <= 10.01
    np.testing.assert_array_equal(same.seen > 0, given.sigma[:40] >= SEEN)
    assert abs(batch.counts.sum() / batch.expected.sum() - 1) < 0.1


def test_the_density_of_a_mixture_is_that_of_its_marginals_and_its_quantiles_hold_their_mass():
    given = mixture()
    weight = given[0, :, 0]
    target = np.array([[6.4, 9.7, 0.3]], np.float32)
    u = unconstrained(torch.from_numpy(target)).double()
    both = torch.from_numpy(np.stack([given[:1], given[:1]], axis=1))
    direct = 0.0
    for k in range(COMPONENTS):
        lower = np.diag(given[0, k, 4:7])
        lower[1, 0], lower[2, 0], lower[2, 1] = given[0, k, 7:]
        z = np.linalg.solve(lower, u[0].numpy() - given[0, k, 1:4])
        direct += weight[k] * np.exp(-0.5 * z @ z) / np.prod(given[0, k, 4:7]) / (2 * np.pi) ** 1.5
    np.testing.assert_allclose(np.exp(log_density(both, u)[0, 0].item()), direct, rtol=1e-6)
    mean, sd = moments(given)
    for which in range(3):
        for p in (0.05, 0.5, 0.95):
            np.testing.assert_allclose(below(given, quantile(given, np.full(3, p), which), which), p, atol=2e-3)
        grid = to_box(np.linspace(-12, 12, 40_001), which)
        mass = np.diff([below(given[:1], np.array([x]), which)[0] for x in grid[::400]])
        middle = 0.5 * (grid[::400][1:] + grid[::400][:-1])
        np.testing.assert_allclose((mass * middle).sum() / mass.sum(), mean[0, which], atol=0.05)
    assert (sd > 0).all()
    np.testing.assert_allclose(to_box(from_box(np.array([6.2]), 0), 0), 6.2)


def test_residuals_of_poisson_counts_are_standard():
    rng = np.random.default_rng(1)
    expected = np.full((4000, 400), 0.2, np.float32)
    off = residuals(torch.from_numpy(rng.poisson(expected).astype(np.float32)), torch.from_numpy(expected)).numpy()
    np.testing.assert_allclose(off.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(off.std(axis=0), 1, atol=0.06)
    none = residuals(torch.zeros(1, 400), torch.full((1, 400), 1e-7)).numpy()
    assert np.isfinite(none).all()


@pytest.mark.parametrize("bins", [2980, 6800, 1000])
def test_16_bits_say_the_same_as_32(bins):
    torch.manual_seed(0)
    network = CoronaNet(bins, np.arange(3)).eval()
    counts = torch.from_numpy(np.random.default_rng(4).poisson(0.3, (8, bins)).astype(np.float32))
    with torch.no_grad():
        exact = network(counts)[4]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            short = network(counts)[4].float()
    assert (short - exact).abs().max() < 0.05 * exact.abs().max()


def test_components_are_those_of_the_rows():
    rows = np.random.default_rng(2).standard_normal((30, 50)).astype(np.float32)
    found, spread = components(rows, 40)
    _, size, right = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs((found[:5] * right[:5]).sum(axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(spread[:5], size[:5] / np.sqrt(30), rtol=1e-3)
    assert not found[30:].any()


def test_training_learns_goes_on_and_is_calibrated(sets, trained, tmp_path):
    given, other = sets
    network, out = trained
    again, state = load(out)
    counts = torch.from_numpy(other.counts[:5].astype(np.float32))
    with torch.no_grad():
        for one, same in zip(again(counts), network(counts), strict=True):
            torch.testing.assert_close(one, same)
    told: list[Standing] = []
    train(given, other, out, Plan(steps=12, batch=64), told.append)
    assert not told  # finished: calibrated anew only
    with pytest.raises(ConfigError, match="of another training"):
        train(given, other, out, Plan(steps=12, batch=64, seed=1))
    with pytest.raises(ConfigError, match="other stars"):
        train(given, given, tmp_path / "x.npz", Plan())
    begun = CoronaNet(BINS, np.arange(len(given.lines)))
    fresh = ask(begun, other.counts.astype(np.float32)[:100])
    told_by = ask(network, other.counts.astype(np.float32)[:100])
    seen = other.sigma[:100] >= SEEN

    def cost(said):
        return np.logaddexp(0, np.where(seen, -said.lines, said.lines)).mean()

    assert cost(told_by) < 0.8 * cost(fresh)
    assert state["wavelength_a"] == sorted(state["wavelength_a"])


def test_calibrated_intervals_hold_what_they_say_of_their_own_spectra(sets, trained):
    other, network = sets[1], trained[0]
    known = calibrate(network, other)
    said, truth = show(network, other, 1, 0)
    for k, level in enumerate(LEVELS):
        low, high = interval(said, known["conformal"], 1, 0, k)
        inside = (truth.target[:, 0] >= low) & (truth.target[:, 0] <= high)
        assert level - 0.02 <= inside.mean() <= level + 0.07  # groups of 30
    assert flags(network, said, known).mean() < 0.1


def test_lines_are_told_from_the_probability_that_is_best(sets, trained):
    rng = np.random.default_rng(3)
    seen = rng.random((400, 20)) < 0.2
    logits = np.where(seen, 0.0, -3.0) + rng.standard_normal(seen.shape)
    weight = np.where(seen, 1.0, np.minimum(seen.sum(1) / np.maximum((~seen).sum(1), 1), 1.0)[:, None])

    def right(p):
        return (((logits > np.log(p / (1 - p))) == seen) * weight).sum()

    best = threshold(logits.astype(np.float32), seen)
    steps = np.arange(0.01, 0.99, 0.001)
    assert right(best) >= max(right(p) for p in steps) - 1e-6
    assert 0.1 < best < 0.4
    assert threshold(logits.astype(np.float32), np.zeros_like(seen)) == 0.5
    other, network = sets[1], trained[0]
    known = calibrate(network, other)
    said, truth = show(network, other, 2, 0)
    weight = np.where(truth.seen, 1.0, np.minimum(truth.seen.sum(1) / (~truth.seen).sum(1), 1.0)[:, None])
    plain = ((expit(said.lines) > 0.5) == truth.seen) * weight
    assert (((told(known, said) == truth.seen) * weight).sum()) >= plain.sum()
    np.testing.assert_allclose(np.median(truth.snr[: len(other)] / other.truth["snr"]), 1, rtol=1e-5)


def test_figures_of_an_unseen_set(sets, trained):
    found = evaluate(trained[0], calibrate(trained[0], sets[1]), sets[1])
    assert 0 < found["one, SNR 3-10: RMSE log T"][0] < 0.4
    assert 0.3 < found["line accuracy, SNR 3-10"][0] <= 1
    for value, low, high in found.values():
        assert np.isnan(value) or low - 1e-9 <= high


def test_as_many_absent_lines_as_there_are_others():
    seen = np.random.default_rng(0).random((50, 40)) < 0.2
    asked = beside(seen, np.random.default_rng(1))
    assert asked[seen].all()
    np.testing.assert_array_equal(asked.sum(axis=1), 2 * seen.sum(axis=1))


def test_means_of_stars_have_intervals():
    stars = Stars(np.repeat(np.arange(400), 2), np.random.default_rng(0))
    values = np.repeat(np.random.default_rng(1).standard_normal(400), 2)
    value, low, high = stars.mean(values, np.ones(800, bool))
    assert low < value < high
    assert (high - low) / 2 == pytest.approx(1 / np.sqrt(400), rel=0.3)
    assert np.isnan(stars.rms(values, np.zeros(800, bool))[0])


def test_other_files_are_refused(files, tmp_path, trained):
    bad = tmp_path / "bad.h5"
    bad.write_text("no")
    with pytest.raises(ConfigError, match="expected a set"):
        Spectra(bad)
    with pytest.raises(ConfigError, match="other lines"):
        Spectra(files[0], np.array([100_000]))
    one = made(tmp_path, 7, 30, shares=(1, 0, 0))
    with pytest.raises(ConfigError, match="no coronae of kind two"):
        train(Spectra(one), Spectra(files[1]), tmp_path / "y.npz", Plan())
    np.savez(tmp_path / "z.npz", state=np.array("{}"))
    with pytest.raises(ConfigError, match="not a network of coronae"):
        load(tmp_path / "z.npz")
