"""`raysieve simulate hits`; interrupted and resumed: see test_produce."""

import pytest
from click.testing import CliRunner

from config.errors import RaysieveError
from raysieve import cli


def run(*arguments):
    return CliRunner().invoke(cli, ["simulate", "hits", *map(str, arguments)])


def refused(*arguments):
    done = run(*arguments)
    assert isinstance(done.exception, RaysieveError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_it_says_what_it_made(data_files, tmp_path):
    out = tmp_path / "new" / "hits.h5"
    done = run(
        out, "--aimed", 100, "--batch", 60, "--workers", 1, "--data", data_files, "--physics", "em", "--keep-parts"
    )
    assert done.exit_code == 0, done.output
    assert "primaries with signal, of 120 that met the box" in done.output
    assert [path.name for path in sorted(out.with_name("hits.h5.parts").glob("*.npz"))] == ["000000.npz", "000001.npz"]
    assert "exists; --overwrite replaces it" in refused(out)
    again = run(out, "--aimed", 50, "--workers", 1, "--data", data_files, "--geometry", "open", "--overwrite")
    assert "parts of another production" in str(again.exception)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--geometry", "nope"], "geometry nope: expected a TOML file or one of close, graded, open"),
        (["--geometry", "none.toml"], "geometry none.toml: expected a TOML file"),
        (["--phi-gv", "nan"], "production: expected 0.1 <= phi_gv <= 2"),
        (["--data", "/dev/null/x"], "Geant4 data folder /dev/null/x: expected a folder that can be written"),
    ],
)
def test_what_cannot_be_is_one_line(options, expected, tmp_path):
    assert expected in refused(tmp_path / "hits.h5", *options)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_one_line(tmp_path):
    assert "a file to write, not a folder" in refused(tmp_path, "--overwrite")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(tmp_path / "file" / "hits.h5")
