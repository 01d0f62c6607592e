"""The figures are made once, and again for other ones."""

import json

from view import drawn as module
from view.drawn import THEMES, drawn


def test_they_are_kept_and_read_again(tmp_path, monkeypatch):
    first = drawn("light", tmp_path)
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr("view.figures.figures", lambda: {"image": "made anew"})
    assert drawn("light", tmp_path) == first
    dark = drawn("dark", tmp_path)
    assert set(json.loads(dark)) == set(json.loads(first))
    assert THEMES["dark"][0] in dark
    assert THEMES["light"][0] not in dark
    kept.write_text("{")  # cut
    assert json.loads(drawn("light", tmp_path)) == {"image": "made anew"}


def test_another_bokeh_makes_others(tmp_path, monkeypatch):
    monkeypatch.setattr("view.figures.figures", lambda: {})
    drawn("light", tmp_path)
    monkeypatch.setattr(module, "version", lambda _: "0.0")
    drawn("light", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_where_nothing_can_be_kept_they_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr("view.figures.figures", lambda: {"image": 1})
    (tmp_path / "file").write_text("")
    assert json.loads(drawn("light", tmp_path / "file")) == {"image": 1}
