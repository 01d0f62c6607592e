"""Emissivities of lines from a grid or from CHIANTI's files: what is taken, left out and refused."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli
from stream.corona.lines import read_lines
from stream.transport.chianti import read_grid
from stream.transport.chianti_files import COMMON, NEEDED, POINTER, opened, solve, strongest, survey


def _grid(path: Path, **changed) -> Path:
    g = np.geomspace(1e-26, 1e-24, 3 * 4 * 2).reshape(3, 4, 2)
    g[1] = 0.0  # no light: left out
    given = {
        "ion": np.array(["o_7", "o_7", "ne_10"]),
        "wavelength_angstrom": np.array([22.098, 21.0, 12.13]),
        "lower": np.array([1, 1, 1]),
        "upper": np.array([2, 9, 4]),
        "G": g,
        "log_T": np.array([6.0, 6.1, 6.2, 6.3]),
        "log_n": np.array([9.0, 10.0]),
    }
    np.savez(path, **given | changed)
    return path


def _database(root: Path, *ions: str) -> Path:
    for name in COMMON:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("10.1\n")
    for name in ions:
        folder = root / name.partition("_")[0] / name
        folder.mkdir(parents=True)
        for kind in NEEDED:
            (folder / f"{name}.{kind}").write_text("1\n -1\n")
    return root


def test_a_grid_becomes_a_table(tmp_path):
    given = _grid(tmp_path / "g.npz")
    made = CliRunner().invoke(cli, ["convert", "chianti", str(given), str(tmp_path / "t.npz")], catch_exceptions=False)
    assert made.exit_code == 0
    assert "2 lines of 2 ions" in made.output
    table = read_lines(tmp_path / "t.npz")
    assert table.ion.tolist() == ["ne_10", "o_7"]
    assert table.scatter.tolist() == pytest.approx([0.1, 0.2])
    assert np.allclose(np.exp(table.ln_g), np.load(given)["G"][[2, 0]], rtol=1e-3)


@pytest.mark.parametrize("changed", [{"G": np.ones((3, 4))}, {"G": np.full((3, 4, 2), -1.0)}])
def test_grids_that_cannot_be_are_refused(tmp_path, changed):
    with pytest.raises(ConfigError, match="G: expected"):
        read_grid(_grid(tmp_path / "g.npz", **changed))
    (tmp_path / "p.npz").write_bytes(POINTER + b"/v1\noid sha256:0\n")
    with pytest.raises(ConfigError, match="expected an npz with ion"):
        read_grid(tmp_path / "p.npz")


def test_ions_without_collision_strengths_and_pointers_are_left_out_by_name(tmp_path):
    root = _database(tmp_path / "db", "o_7", "fe_17", "fe_14")
    (root / "fe/fe_17/fe_17.scups").unlink()
    (root / "fe/fe_14/fe_14.scups").write_bytes(POINTER + b"/v1\noid sha256:0\nsize 9\n")
    found = survey(root)
    assert found.ions == ("o_7",)
    assert found.left == {"fe_17": "no .scups", "fe_14": ".scups is a git-lfs pointer in place of data"}
    with pytest.raises(ConfigError, match=r"fe_14: \.scups is a git-lfs pointer"):
        solve(found, np.array([6.0, 6.1]), np.array([9.0, 10.0]), ("fe_14",))


def test_what_is_no_database_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="not a CHIANTI database: expected VERSION"):
        survey(tmp_path / "empty")
    pointers = _database(tmp_path / "pointers", "o_7")
    (pointers / COMMON[2]).write_bytes(POINTER + b"/v1\n")
    with pytest.raises(ConfigError, match="git-lfs pointer"):
        survey(pointers)
    with pytest.raises(ConfigError, match="expected ions with"):
        survey(_database(tmp_path / "none"))
    (tmp_path / "text.tar.gz").write_text("no")
    with pytest.raises(ConfigError, match="expected a CHIANTI directory") as said, opened(tmp_path / "text.tar.gz"):
        pass
    assert "\n" not in str(said.value)


def test_a_tar_is_looked_into(tmp_path):
    root = _database(tmp_path / "db", "o_7")
    with tarfile.open(tmp_path / "db.tar.gz", "w:gz") as tar:
        tar.add(root, "chianti")
    with opened(tmp_path / "db.tar.gz") as found:
        assert found.ions == ("o_7",)


def test_the_strongest_lines_nearby_are_kept():
    wavelength = np.array([10.0, 11.0, 30.0, 0.5, 600.0])
    g = np.array([1.0, 0.005, 0.005, 9.0, 9.0])[:, None, None] * np.ones((1, 2, 2))
    assert strongest(wavelength, g).tolist() == [0, 2]
