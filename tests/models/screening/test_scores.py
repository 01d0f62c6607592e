from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from config.load import load
from models.candidates import Events


@pytest.fixture(scope="module")
def seen(torch, event_sets):
    """The candidates of a set, with features that know what made them only by `f1`, downwards."""
    from models.filter.features import Featured
    from models.screening.scores import Seen
    from stream.kernels.cam import FEATURES

    events = Events(event_sets["training"])
    found = events.candidates(with_windows=True)
    rng = np.random.default_rng(0)
    features = rng.random((len(found), len(FEATURES))).astype(np.float32)
    features[:, FEATURES.index("f1")] -= 10 * found.particle
    return Seen(events, Featured(found, features, np.full((len(found), 4), 0.25, np.float32)))


def test_each_step_of_the_ablation_knows_more(seen):
    from models.screening.scores import ENERGY, PATTERN, WITHOUT_CAM, inputs

    table = seen.events.events[seen.found.row]
    assert inputs(seen, ENERGY)[:, 0].tolist() == table["energy_ev"].tolist()
    assert inputs(seen, PATTERN)[:, 1].tolist() == table["pattern"].tolist()
    pixels = inputs(seen, WITHOUT_CAM)[:, 2:]
    assert pixels.shape == (len(seen.found), 25)
    assert np.isfinite(pixels).all()
    assert np.array_equal(pixels[:, 12], table["island"][:, 12])


def test_forests_without_maps_learn_what_their_inputs_tell(seen):
    from models.filter.train import Plan
    from models.screening.scores import ENERGY, PATTERN, WITHOUT_CAM, without_maps

    grown = without_maps([seen, seen], Plan(trees=20))
    assert list(grown) == [ENERGY, PATTERN, WITHOUT_CAM]
    for score in grown.values():
        p = score(seen)
        assert p.shape == (len(seen.found),)
        assert p[seen.found.particle].mean() > p[~seen.found.particle].mean() + 0.2  # seen in training


def test_the_best_feature_of_the_maps_is_found_with_its_sign(seen):
    from models.screening.scores import BEST, SOFTMAX, without_forest

    scores = without_forest([seen])
    assert np.all(scores[BEST](seen)[seen.found.particle] > scores[BEST](seen)[~seen.found.particle].max())
    assert scores[SOFTMAX](seen).tolist() == seen.featured.features[:, 2].tolist()


def test_a_forest_is_run_on_the_features(seen, small_models):
    from models.screening.scores import forest

    expected = 1 / (1 + np.exp(-1e-4 * seen.featured.features[:, 0]))
    assert forest(small_models / "forest.onnx")(seen) == pytest.approx(expected, abs=1e-6)


def test_the_context_model_judges_all_candidates(seen, small_models):
    from models.screening.scores import islands, of_islands

    scored = islands(small_models / "islands.onnx", load("wfi"))(seen.events)
    every = seen.events.candidates()
    assert len(scored.found) == len(every) > len(seen.found)
    row = seen.events.events[every.row]
    expected = 1 / (1 + np.exp(-1e-4 * row["energy_ev"] - 0.1 * row["pixels"]))
    assert scored.scores["islands"] == pytest.approx(expected, abs=1e-6)
    place = np.searchsorted(every.row, seen.found.row)
    assert of_islands(scored, seen.found) == pytest.approx(expected[place], abs=1e-6)


def test_bounds_know_company_and_else_energies(seen):
    from models.screening.report import bound
    from models.screening.scores import ENERGY, bounds

    energy = seen.found.energy_ev.astype(float)
    found = replace(seen.found, company=np.where(seen.found.particle, 4, 0).astype(np.uint8))
    scores = bounds(found, {ENERGY: energy})
    assert np.isinf(scores[bound("four quadrants")][found.particle]).all()
    assert np.array_equal(scores[bound("64 x 64")], energy)
    assert bounds(found, {}) == {}


def test_other_models_are_refused(seen, small_models, tmp_path):
    from models.screening.scores import forest, islands

    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"broken\.onnx: cannot be run; expected a forest"):
        forest(broken)
    with pytest.raises(ConfigError, match=r"none\.onnx: No such file or directory; expected a context model"):
        islands(tmp_path / "none.onnx", load("wfi"))
    with pytest.raises(
        ConfigError, match=r"islands\.onnx: inputs candidate .*: expected a forest .*with features \[10\]"
    ):
        forest(small_models / "islands.onnx")
