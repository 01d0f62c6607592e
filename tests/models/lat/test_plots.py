"""Pictures of fakes and of places of gamma-ray sources."""

import numpy as np
import pytest

from tests.pictures import check

pytest.importorskip("torch")


def test_fakes_and_places_are_drawn(tmp_path, drawn):
    from models.lat.localise_evaluate import METHODS, Judged
    from models.lat.plots import draw_fakes, draw_places
    from models.sources.evaluate import Judged as Told
    from sim.lat.cutouts import FAKE, KINDS

    rng = np.random.default_rng(2)
    label = rng.integers(0, FAKE + 1, 500)
    p = rng.dirichlet(np.ones(len(KINDS)), 500) + 0.5 * np.eye(len(KINDS))[label]
    told = Told(KINDS, label, p / p.sum(axis=1, keepdims=True), label, np.arange(500))
    check(
        draw_fakes(tmp_path / "fakes.png", {"": told, "no fakes": told.pick(np.flatnonzero(label != FAKE))}), drawn[0]
    )
    flux = 7e-11 * (1 - rng.random(400)) ** -0.8
    sources = np.stack([flux, rng.uniform(0, 80, 400), rng.random(400) < 0.8, rng.uniform(0, 0.1, 400)], axis=1)
    judged = {name: Judged(sources, sources[:, :3], 1e-3) for name in METHODS}
    labels = check(draw_places(tmp_path / "places.png", judged), drawn[1])
    assert "|b| > 20: distance to the true place (degrees)" in labels
    assert any("photons cm" in label for label in labels)
    shown = drawn[1].axes[0].containers[0].lines[0].get_ydata()
    assert shown == pytest.approx(0.8, abs=0.2)
    nothing = {"network": Judged(np.zeros((0, 4)), np.zeros((0, 3)), np.nan)}
    assert draw_places(tmp_path / "none.png", nothing).is_file()
