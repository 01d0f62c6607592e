import json

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError, RaysieveError
from models.commands import train as commands
from tests import screens

pytestmark = pytest.mark.usefixtures("torch")


def grown(features, particle, weight=None, **changes):
    from models.filter.train import Plan, grow

    names = tuple(map(str, range(features.shape[1])))
    weight = np.ones(particle.size) if weight is None else weight
    return grow(features, particle, weight, Plan(**{"trees": 30, "tried": 1} | changes), names)


def two_kinds(xrays=4000, particles=150, apart=3.0, seed=0):
    rng = np.random.default_rng(seed)
    particle = np.arange(xrays + particles) < particles
    features = rng.normal(size=(particle.size, 2)).astype(np.float32)
    features[particle, 0] += apart
    return features, particle


def test_each_tree_has_as_many_of_both_kinds():
    from models.filter.train import balanced

    _, particle = two_kinds()
    times = [balanced(particle, np.ones(particle.size), np.random.default_rng(k)) for k in range(200)]
    assert {(int(t[particle].sum()), int(t[~particle].sum())) for t in times} == {(150, 150)}
    assert max(t.max() for t in times) > 2  # with replacement
    mean = np.mean(times, axis=0)
    assert mean[particle].mean() == pytest.approx(1)
    assert mean[~particle].std() < 0.03
    few = balanced(~particle, np.ones(particle.size), np.random.default_rng(0))  # particles may be the larger kind
    assert few.sum() == 300


def test_events_are_drawn_by_their_weight():
    from models.filter.train import balanced

    _, particle = two_kinds(xrays=1000, particles=500)
    weight = np.ones(particle.size)
    weight[-500:] = 9.0
    times = np.sum([balanced(particle, weight, np.random.default_rng(k)) for k in range(50)], axis=0)
    assert times[-500:].sum() / times[~particle].sum() == pytest.approx(0.9, abs=0.01)


def test_it_finds_what_tells_the_kinds_apart():
    features, particle = two_kinds()
    forest = grown(features, particle, least_leaf=5)
    unseen, label = two_kinds(seed=1)
    score = forest.scores(unseen)
    assert np.mean(score[label] > 0.5) > 0.9
    assert np.mean(score[~label] > 0.5) < 0.1
    assert grown(*two_kinds(apart=0.0)).scores(unseen).std() < 0.2


def test_fully_grown_trees_know_their_events():
    features, particle = two_kinds(xrays=150)
    forest = grown(features, particle, trees=60)
    leaf = forest.left == np.arange(forest.left.size)
    assert set(forest.value[leaf].tolist()) == {0, forest.unit}
    assert np.mean((forest.scores(features) > 0.5) == particle) > 0.97
    assert grown(features, particle, trees=60, least_leaf=20).feature.size < forest.feature.size / 3


def test_the_same_seed_grows_the_same_forest():
    kinds = two_kinds()
    one, again, other = (grown(*kinds, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.threshold, again.threshold)
    assert not np.array_equal(one.threshold[:50], other.threshold[:50])


def test_what_cannot_be_learned_from_is_one_line():
    features, particle = two_kinds()
    with pytest.raises(ConfigError, match="forest: expected 50 particles and X-rays, got 49 and 4000"):
        grown(features[101:], particle[101:])
    with pytest.raises(ConfigError, match="forest: expected finite features"):
        grown(np.where(features > 4, np.nan, features), particle)
    with pytest.raises(ConfigError, match="forest: expected 2 features, and no more tried at a split"):
        grown(features, particle, tried=3)


def trained(out, network, *sets, **options):
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words = ["filter", *map(str, sets), "--frames", str(network), "--out", str(out), *words]
    return CliRunner().invoke(commands, words)


def test_the_command_trains_on_all_sets(event_sets, network, tmp_path):
    from models.candidates import Events
    from models.filter.forest import load
    from stream.kernels.cam import FEATURES

    out = tmp_path / "new" / "filter.npz"
    sets = event_sets["training"], event_sets["calibration"]
    done = trained(out, network, *sets, trees=20, least_leaf=5)
    assert done.exit_code == 0, done.output
    assert "filter.npz: 20 trees, " in done.output
    forest = load(out)
    assert forest.features == FEATURES
    about = json.loads(forest.about)
    assert about["plan"] == {"trees": 20, "tried": 3, "least_leaf": 5, "seed": 0}
    found = [Events(path).candidates(with_windows=True) for path in sets]
    assert about["particles"] == sum(int(one.particle.sum()) for one in found)
    assert about["xrays"] == sum(int((~one.particle).sum()) for one in found)
    assert [one["part"] for one in about["events"]] == [[0.0, 0.4], [0.4, 0.7]]
    done = trained(out, network, *sets)
    assert str(done.exception) == f"{out}: exists; --overwrite replaces it"


def test_the_command_refuses_in_one_line(event_sets, network, frame_sets, tmp_path):
    out = tmp_path / "filter.npz"
    wood = screens.forest(tmp_path / "wood.onnx")
    for words, told in (
        ((network, tmp_path / "no.h5"), "no.h5"),
        ((network, frame_sets[0]), "expected raysieve event set"),
        ((wood, event_sets["test"]), "wood.onnx: features, p_particle: expected a frame classifier"),
        ((tmp_path / "no.onnx", event_sets["test"]), "no.onnx"),
    ):
        done = trained(out, *words, trees=2)
        assert isinstance(done.exception, RaysieveError)
        assert told in str(done.exception)
        assert "\n" not in str(done.exception)
    assert not out.exists()
