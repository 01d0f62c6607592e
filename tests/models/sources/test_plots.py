"""Pictures of classes: what was called what, and whether a probability is what it says."""

import numpy as np
import pytest

from models.sources.evaluate import BINS, Judged
from tests.pictures import check

pytest.importorskip("torch")


def judged(n=4000, classes=("AGN", "CV", "star"), seed=1):
    """Return classes drawn from the probabilities that are told: reliable by construction."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(len(classes), 0.5), n)
    label = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return Judged(classes, label, p, (p * [1, 2, 3]).argmax(axis=1), np.arange(n))


def test_all_three_are_drawn_for_each_that_is_shown(tmp_path, drawn):
    from models.sources.plots import draw_told

    paths = draw_told(tmp_path, "x", {"": judged(), "by latitude": judged(seed=2)}, ruled=True)
    assert [path.name for path in paths] == [
        "x_confusion.png", "x_reliability.png", "x_classes.png", "x_classes_by_latitude.png",
    ]  # fmt: skip
    labels = [check(path, figure) for path, figure in zip(paths, drawn, strict=True)]
    assert labels[0] == ["class by the model's rule", "true class"] * 2
    assert "probability of the most probable class" in labels[1]
    assert [text.get_text() for text in drawn[1].axes[0].get_legend().get_texts()][1].startswith("by latitude: ECE 0.0")
    cells = [text.get_text() for text in drawn[0].axes[0].texts]
    assert len(cells) == 9
    assert all("%\n" in cell for cell in cells)


def test_a_reliable_probability_lies_on_the_line():
    from models.sources.plots import of_class

    count, mean, share = of_class(judged(100_000), 1)
    assert count.sum() == 100_000
    assert count.shape == (BINS,)
    np.testing.assert_allclose(share, mean, atol=0.02)


def test_nothing_can_be_drawn(tmp_path):
    from models.sources.plots import draw_told

    assert all(path.is_file() for path in draw_told(tmp_path, "x", {"": judged(0)}))
