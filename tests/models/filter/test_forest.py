import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from config.errors import ConfigError
from models.filter.forest import EXACT, Forest, joined, load, rounded_down, save, unit_for

FINITE = st.floats(-1e30, 1e30, width=64)


def stump(threshold=2.0, values=(1, 3)):
    """A tree of one question: is the second feature above a threshold?"""
    columns = {"feature": [1, 0, 0], "threshold": [threshold, 0, 0], "left": [1, 1, 2], "right": [2, 1, 2]}
    types = {"feature": "<i2", "threshold": "<f4", "left": "<i4", "right": "<i4"}
    made = {name: np.array(values, types[name]) for name, values in columns.items()}
    return Forest(("a", "b"), np.zeros(1, "<i4"), **made, value=np.array([0, *values], "<i4"), about="{}")


def fitted(number=12, seed=0, least_leaf=1):
    tree = pytest.importorskip("sklearn.tree", reason="no train extra: scikit-learn not installed")
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(400, 5)).astype(np.float32)
    label = table[:, 0] + 0.5 * table[:, 1] + rng.normal(0, 0.6, 400) > 0.3
    trees = []
    for k in range(number):
        rows = rng.integers(400, size=400)
        grown = tree.DecisionTreeClassifier(max_features=2, min_samples_leaf=least_leaf, random_state=k)
        trees.append(grown.fit(table[rows], label[rows]))
    return trees, joined(iter(trees), number, tuple("abcde"), "{}"), table


def on_edges(forest, n=3000, seed=1):
    rng = np.random.default_rng(seed)
    inner = forest.left != np.arange(forest.left.size)
    drawn = np.stack([rng.choice(forest.threshold[inner & (forest.feature == k)], n) for k in range(5)], axis=1)
    return np.where(rng.random(drawn.shape) < 0.5, drawn, np.nextafter(drawn, np.float32(np.inf)))


@pytest.mark.parametrize("least_leaf", [1, 7])
def test_it_is_the_forest_of_scikit_learn(least_leaf):
    trees, forest, table = fitted(least_leaf=least_leaf)
    for rows in (table, on_edges(forest)):
        expected = np.mean([tree.predict_proba(rows)[:, 1] for tree in trees], axis=0)
        np.testing.assert_allclose(forest.scores(rows), expected, atol=0.5 / forest.unit + 1e-7)


def test_every_tree_sends_events_where_scikit_learn_does():
    trees, forest, _ = fitted(4)
    rows = on_edges(forest)
    for tree, first in zip(trees, forest.root, strict=True):
        node = np.full(len(rows), first)
        for _ in range(50):
            below = rows[np.arange(len(rows)), forest.feature[node]] <= forest.threshold[node]
            node = np.where(below, forest.left[node], forest.right[node])
        assert np.array_equal(node - first, tree.apply(rows))


@given(arrays(np.float64, 5, elements=FINITE), arrays(np.float32, 5, elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_a_rounded_threshold_separates_as_before(threshold, number):
    rounded = rounded_down(threshold)
    assert rounded.dtype == np.float32
    for x in (number, rounded, np.nextafter(rounded, np.float32(np.inf))):
        assert np.array_equal(x <= rounded, x.astype(np.float64) <= threshold)


def test_thresholds_between_neighbours_are_kept():
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    middle = (float(low) + float(high)) / 2
    assert np.float32(np.nextafter(middle, 1)) == high  # what a plain cast would do
    assert rounded_down(np.array([np.nextafter(middle, 1)])).tolist() == [low]


@pytest.mark.parametrize("trees", [1, 3, 200, 256, 1000, 100_000])
def test_sums_are_exact(trees):
    unit = unit_for(trees)
    assert EXACT / 2 < unit * trees <= EXACT
    assert unit & (unit - 1) == 0


def test_sums_are_the_same_in_any_order_and_number():
    _, forest, table = fitted()
    rows = np.concatenate([table] * 12)  # more than are taken at a time
    found = forest.scores(rows)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.tile(forest.scores(table), 12))
    assert np.array_equal(found[:5], np.concatenate([forest.scores(rows[k : k + 1]) for k in range(5)]))
    backwards = Forest(forest.features, forest.root[::-1], **{n: getattr(forest, n) for n in NODES})
    assert np.array_equal(backwards.scores(table), forest.scores(table))


NODES = ("feature", "threshold", "left", "right", "value")


def test_scores_by_hand():
    forest = stump()
    rows = np.array([[9, 2], [9, 2.01], [np.nan, 1], [1, np.inf], [0, -3]], np.float32)
    unit = np.float32(1 / forest.unit)
    np.testing.assert_array_equal(forest.scores(rows), np.array([1 * unit, 3 * unit, np.nan, np.nan, 1 * unit], "f4"))
    assert forest.scores(rows[:0]).shape == (0,)


def test_a_forest_comes_back_from_its_file(tmp_path):
    _, forest, table = fitted()
    save(tmp_path / "forest.npz", forest)
    again = load(tmp_path / "forest.npz")
    assert again.features == forest.features
    assert np.array_equal(again.scores(table), forest.scores(table))
    assert [path.name for path in tmp_path.iterdir()] == ["forest.npz"]
    with np.load(tmp_path / "forest.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiU" for name in file.files)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        save(tmp_path / "none" / "forest.npz", stump())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left", np.array([0, 1, 2], "<i4")),  # leads to itself on one side only
        ("left", np.array([1, 0, 2], "<i4")),  # leads back
        ("right", np.array([9, 1, 2], "<i4")),  # leads out
        ("feature", np.array([5, 0, 0], "<i2")),
        ("root", np.array([3], "<i4")),
        ("root", np.array([], "<i4")),
        ("threshold", np.array([1.0, 0, 0])),
        ("value", np.array([1, 2], "<i4")),
        ("about", np.array("{")),
        ("about", np.array({"a": 1}, object)),
        ("feature", None),
    ],
)
def test_a_damaged_forest_is_one_line(name, value, tmp_path):
    path = tmp_path / "forest.npz"
    save(path, stump())
    with np.load(path) as file:
        arrays_of = {key: file[key] for key in file.files} | {name: value}
    np.savez(path, **{key: array for key, array in arrays_of.items() if array is not None})
    refused(path)


def test_a_foreign_file_is_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz")
    refused(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    refused(tmp_path / "other.npz")
    save(tmp_path / "short.npz", stump())
    (tmp_path / "short.npz").write_bytes((tmp_path / "short.npz").read_bytes()[:-100])
    refused(tmp_path / "short.npz")


def refused(path):
    with pytest.raises(ConfigError, match="not a forest") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
