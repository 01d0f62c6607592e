import hashlib
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError, RaysieveError
from config.schema import Screen
from export.commands import export as commands
from models.candidates import Candidates
from models.filter.forest import Forest, load, save
from sim.commands import simulate
from sim.event_sets import EventSet
from stream.infer import card_of, open_model, threshold_for
from stream.judges.windows import Windows
from stream.kernels.cam import FEATURES
from stream.messages import EventList
from tests import screens

pytestmark = pytest.mark.usefixtures("torch")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return screens.network(tmp_path_factory.mktemp("network") / "net.onnx")


@pytest.fixture(scope="module")
def forests(torch, event_sets, network, tmp_path_factory):
    """A forest of few nodes, and one of fully grown trees."""
    from models.candidates import Events
    from models.filter.features import Network
    from models.filter.train import Plan, train

    folder = tmp_path_factory.mktemp("forests")
    for name, plan in (("small", Plan(trees=20, least_leaf=5)), ("full", Plan(trees=37))):
        save(folder / f"{name}.npz", train([Events(event_sets["training"])], Network(network), plan))
    return folder / "small.npz", folder / "full.npz"


def exported(forest, out, network, test, *options):
    words = ["filter", str(forest), str(out), "--frames", str(network), "--test", str(test), *map(str, options)]
    return CliRunner().invoke(commands, words)


@pytest.fixture(scope="module")
def model(forests, network, event_sets, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "filter.onnx"
    done = exported(forests[0], out, network, event_sets["test"], "--beside", forests[1])
    assert done.exit_code == 0, done.output
    assert "largest difference 0.0e+00, 0 changed decisions" in done.output
    return out


def test_onnx_is_the_forest_and_the_card_says_so(model, forests, network):
    card = tomllib.loads(model.with_suffix(".toml").read_text())
    assert card["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert card["frames_sha256"] == hashlib.sha256(network.read_bytes()).hexdigest()
    parity = card["parity"]
    assert parity["events"] > 100
    assert (parity["edges"], parity["difference"], parity["changed"]) == (10_000, 0, 0)
    assert card["input"]["features"] == {"shape": ["n", 10], "dtype": "float32", "names": list(FEATURES)}
    assert card["output"]["p_particle"] == {"shape": ["n"], "dtype": "float32"}
    small, full = map(load, forests)
    assert card["training"]["nodes"] == small.feature.size
    assert card["training"]["plan"]["least_leaf"] == 5
    assert '"part": [0.0, 0.4]' in card["training"]["events"]
    assert '"part": [0.7, 1.0]' in card["test"]
    assert card["beside"]["full"]["nodes"] == full.feature.size
    assert "FOR relative improvement of p_particle more by" in card["beside"]["full"]
    for figures in (card["metrics"], card["traditional"]):
        value, low, high = figures["lost X-rays"]
        assert 0 <= low <= value <= high <= 1
    assert card["metrics"]["lost X-rays"][0] <= 0.0182


def test_the_roc_is_one_that_the_stream_takes(model):
    card = card_of(str(model))
    roc = card.get("roc")
    threshold, lost, unrejected = (np.array(roc[name]) for name in ("threshold", "lost_xrays", "unrejected"))
    assert threshold.size == lost.size == unrejected.size > 20
    assert (np.diff(threshold) > 0).all()
    assert (np.diff(lost) <= 0).all()
    assert (lost[0], lost[-1]) == (pytest.approx(1, abs=0.2), 0)
    for wish in (0.0182, 0.1, 0.5):
        assert np.interp(threshold_for(card, wish), threshold, lost) == pytest.approx(wish)


def test_the_card_says_what_a_network_in_bf16_changes(model, network):
    from export.bf16 import in_bf16

    card = tomllib.loads(model.with_suffix(".toml").read_text())
    if in_bf16(network) is None:
        assert "bf16" not in card
        pytest.skip("no OpenVINO, or no bf16 units in this processor")
    rough = card["bf16"]
    assert rough["events"] == card["parity"]["events"]
    assert 0 <= rough["changed"] < 0.2 * rough["events"]
    assert 0 < rough["difference"] <= 1  # the windows are real: some feature crosses some threshold
    value, low, high = rough["lost X-rays"]
    assert 0 <= low <= value <= high <= 1
    assert "FOR relative improvement of p_particle more by" in rough


@pytest.mark.parametrize("number", [0, 1, 2, 37, 5000])
def test_the_stream_runs_any_number_of_events(number, model, forests):
    forest = load(forests[0])
    features = np.random.default_rng(number).normal(0, 50, (number, 10)).astype(np.float32)
    features[:, 0] *= 50
    found = open_model(str(model), "cpu").run(features=features)["p_particle"]
    assert (found.shape, found.dtype) == ((number,), np.float32)
    assert np.array_equal(found, forest.scores(features))


def test_the_stream_scores_events_as_training_did(model, forests, network, tmp_path, monkeypatch):
    from models.candidates import Events
    from models.filter.features import Network, features_of

    real, lists = EventSet._send, []

    def noted(made, message):
        found = real(made, message)
        lists.extend(one for one in found if isinstance(one, EventList))
        return found

    monkeypatch.setattr(EventSet, "_send", noted)
    sky = ["--windows", "1", "--particles", "3", "--readouts", "40", "--seed", "3"]
    done = CliRunner().invoke(simulate, ["events", str(tmp_path / "set.h5"), "--config", "wfi", *sky])
    assert done.exit_code == 0, done.output
    seen = features_of(Events(tmp_path / "set.h5"), Network(network))
    trained = load(forests[0]).scores(seen.features)
    chosen, first = [], 0
    for one in lists:
        rows = seen.found.row - first
        chosen.append(rows[(rows >= 0) & (rows < one.events.size)])
        first += one.events.size
    judge = Windows(Screen(model=str(network), look="windows", forest=str(model), provider="cpu"))
    streamed, p_class = judge.judge(lists, chosen)
    assert streamed.size == trained.size > 100
    np.testing.assert_allclose(p_class, seen.p_class, atol=1e-3)
    off = np.abs(streamed - trained)
    assert np.mean(off < 1.5 / 20) > 0.97  # the set keeps whole eV: an event may go another way in one of 20 trees


def test_what_is_no_number_has_no_score(model, forests):
    features = np.ones((4, 10), np.float32)
    features[0, 0], features[1, 9], features[2, 4] = np.nan, np.inf, -np.inf
    found = open_model(str(model), "cpu").run(features=features)["p_particle"]
    assert np.isnan(found).tolist() == [True, True, True, False]
    assert np.array_equal(found, load(forests[0]).scores(features), equal_nan=True)


def test_fully_grown_trees_are_equal_too(forests, tmp_path):
    from export.filter import compare, write

    forest = load(forests[1])
    write(forest, tmp_path / "full.onnx")
    parity = compare(forest, tmp_path / "full.onnx", np.zeros((0, 10), np.float32), np.array([0.0, 0.5]))
    assert (parity.events, parity.edges, parity.difference, parity.changed) == (0, 10_000, 0, 0)


def test_parity_sees_another_forest(model, forests):
    from export.filter import compare

    forest = load(forests[0])
    arrays = {name: getattr(forest, name) for name in ("root", "feature", "left", "right", "value")}
    threshold = np.nextafter(forest.threshold, np.float32(np.inf))
    other = Forest(forest.features, **arrays, threshold=threshold)
    assert compare(other, model, np.zeros((0, 10), np.float32), np.linspace(0, 1, 50)).changed > 100


def candidates(particle, weight):
    n = len(particle)
    zeros = np.zeros(n, np.int64)
    ones = np.ones(n, np.float32)
    return Candidates(zeros, ones, np.array(particle, bool), zeros, np.array(weight, float), ones > 0, ones > 1)


def test_roc_by_hand():
    from export.filter import roc_table

    score = np.array([0.1, 0.3, 0.3, 0.8, 0.3, 0.9, 0.95])
    found = candidates([0, 0, 0, 0, 1, 1, 1], [4, 4, 4, 4, 1, 1, 1])
    table = roc_table(found, score)
    assert table["threshold"] == [0.0, 0.1, 0.3, 0.8, 0.95]
    assert table["lost_xrays"] == [1.0, 0.75, 0.25, 0.0, 0.0]
    np.testing.assert_allclose(table["unrejected"], [0, 0, 1 / 13, 1 / 17, 3 / 19], atol=1e-7)


def test_judged_by_hand():
    from export.filter import judged

    n = 1000
    particle = np.arange(n) < 100
    found = candidates(particle, np.where(particle, 1, 10))
    perfect, useless = particle.astype(float), np.zeros(n)
    told = judged(found, {"perfect": perfect, "useless": useless})
    assert told["traditional"]["unrejected background"][0] == pytest.approx(100 / 9100)
    assert told["perfect"]["FOR relative improvement"][0] == 1
    assert told["perfect"]["lost X-rays"][0] == 0
    assert told["useless"]["FOR relative improvement"][0] == 0
    assert told["useless"]["FOR relative improvement of perfect more by"][0] == 1


def test_what_another_network_changes_by_hand(model):
    from export.filter import describe_rough
    from models.filter.features import Featured

    features = np.random.default_rng(0).uniform(0, 8000, (1000, 10)).astype(np.float32)
    found = candidates(np.arange(1000) < 300, np.ones(1000))
    same, mixed = (Featured(found, table, np.zeros((1000, 4), np.float32)) for table in (features, features[::-1]))
    told = describe_rough(model, same, same)
    assert (told["events"], told["changed"], told["difference"]) == (1000, 0, 0)
    assert told["FOR relative improvement of p_particle more by"] == [0, 0, 0]
    run = open_model(str(model), "cpu").run
    one, other = (run(features=table)["p_particle"].astype(float) for table in (features, features[::-1].copy()))
    lowest = np.sort(one[300:])[::-1][12]  # 12 of 700 X-rays, 1.7 %, may be lost
    told = describe_rough(model, same, mixed)
    assert told["difference"] == np.abs(one - other).max()
    assert told["changed"] == np.sum((one > lowest) != (other > lowest)) > 0
    assert told["lost X-rays"][0] == pytest.approx(np.mean(other[300:] > lowest), abs=1e-5)


def test_what_cannot_be_exported_is_one_line(forests, network, event_sets, tmp_path):
    out, test = tmp_path / "filter.onnx", event_sets["test"]
    other = screens.network(tmp_path / "other.onnx", weights=(1.0, 2.0, 3.0, 4.0))
    for words, told in (
        ((network, out, network, test), "net.onnx: not a forest"),
        ((forests[0], out, other, test), "expected the network of the forest, "),
        ((forests[0], out, network, forests[0]), "expected raysieve event set"),
        ((forests[0], out, network, test, "--beside", test), "test.h5: not a forest"),
    ):
        done = exported(*words)
        assert isinstance(done.exception, RaysieveError), done.output
        assert told in str(done.exception)
        assert "\n" not in str(done.exception)
        assert not out.exists()
    out.write_bytes(b"mine")
    done = exported(forests[0], out, network, test)
    assert str(done.exception) == f"{out}: exists; --overwrite replaces it"
    assert out.read_bytes() == b"mine"


def test_too_few_events_and_damaged_models_are_one_line(forests, model, tmp_path):
    from export import filter
    from models.filter.features import Featured

    found = candidates(np.arange(200) < 3, np.ones(200))
    unseen = Featured(found, np.zeros((200, 10), np.float32), np.zeros((200, 4), np.float32))
    with pytest.raises(ConfigError, match="test: expected 50 particles and X-rays, got 3 and 197"):
        filter.describe(load(forests[0]), model, unseen, {})
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.onnx: cannot be run"):
        filter.open_model(tmp_path / "text.onnx")
