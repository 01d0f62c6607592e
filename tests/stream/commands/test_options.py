"""Nothing that is there is replaced unasked."""

import tempfile

import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli
from stream.commands.options import folder_for
from tests.stream.transport.foreign.lists import acis_list, events

KEPT = "a night of work"
WRITERS = [
    ("convert", "acis", "{given}", "{out}"),
    ("convert", "suzaku", "{given}", "{out}"),
    ("convert", "wfi-pixels", "{given}", "{out}"),
    ("convert", "ccsds", "{given}", "{out}"),
    ("convert", "chianti", "{given}", "{out}"),
    ("convert", "ft1", "{given}", "{out}"),
    ("calibrate-dark", "{given}", "{out}"),
    ("simulate", "telemetry", "{given}", "{out}", "-c", "wfi"),
]


def raysieve(*words):
    return CliRunner().invoke(cli, list(map(str, words)))


@pytest.mark.parametrize("words", WRITERS, ids=lambda words: " ".join(words[:2]))
def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path, words):
    out = tmp_path / "there.h5"
    out.write_text(KEPT)
    done = raysieve(*(word.format(given=tmp_path / "given", out=out) for word in words))
    assert done.exit_code != 0
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == f"{out}: exists; --overwrite replaces it"
    assert out.read_text() == KEPT


def test_it_is_replaced_when_told_to_and_its_folder_is_made(tmp_path):
    given, out = acis_list(tmp_path / "given.fits", events()), tmp_path / "new" / "fe55.h5"
    assert raysieve("convert", "acis", given, out).exit_code == 0
    out.write_text(KEPT)
    done = raysieve("convert", "acis", given, out, "--overwrite")
    assert done.exit_code == 0, done.output
    assert out.read_bytes()[1:4] == b"HDF"


def test_the_help_shows_defaults_and_none_that_is_empty():
    for words, shown in ((("replay",), ["[default: live]", "[default: 30.0]"]), (("simulate", "wfi"), ["[default: 0"])):
        text = " ".join(raysieve(*words, "--help").output.split())
        assert all(one in text for one in shown)
        assert '""' not in text
    assert "[default:" not in " ".join(raysieve("catalogue", "--help").output.split())


def test_a_folder_that_takes_no_file_is_told_before_the_work(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(ConfigError, match=f"a\\.h5: cannot be written: {tmp_path}: Permission denied"):
        folder_for(tmp_path / "a.h5")
