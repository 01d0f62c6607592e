import numpy as np
import pytest

from models.screening import plots
from models.screening.judge import tallies
from models.screening.report import OWN, TRADITIONAL, Scored, decide, points, report
from stream.errors import LinkError
from tests.models.screening.tables import candidates
from tests.pictures import check


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    particle = np.arange(600) < 100
    found = candidates(particle, energy_ev=rng.uniform(300, 9999, 600), kept=rng.random(600) > 0.02, company=7)
    return Scored(found, {"good": particle + rng.normal(size=600), "blind": rng.random(600)})


def test_every_picture_is_drawn_on_paper(scored, tmp_path, drawn):
    main = points()[0]
    figures = report(scored, scored)
    decisions = {name: share for name, share in decide(scored, scored, main) if not name.endswith(OWN)}
    tallied = tallies(scored.found, decisions)
    assert TRADITIONAL in tallied
    paths = [
        plots.draw_roc(tmp_path / "roc.png", scored, ["good", "blind"], figures),
        plots.draw_background(tmp_path / "background.png", tallied),
        plots.draw_lost(tmp_path / "lost.png", tallied),
        plots.draw_scores(tmp_path / "scores.png", figures, ["good", "blind"], main.name),
    ]
    for path, figure in zip(paths, drawn, strict=True):
        check(path, figure)


def test_a_picture_that_cannot_be_written_is_one_line(scored, tmp_path):
    with pytest.raises(LinkError, match=r"none/roc\.png: cannot be written"):
        plots.draw_roc(tmp_path / "none" / "roc.png", scored, ["good"], report(scored, scored))
