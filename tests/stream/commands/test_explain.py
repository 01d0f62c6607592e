import pytest
from click.testing import CliRunner
from rich.console import Console

from config.load import load
from raysieve import cli
from stream.commands.inspect import _print_table, _rates
from stream.wiring import TABLE, url_of

FRAMES = url_of(TABLE[0].link, load("wfi").links)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_address_is_cut_however_narrow_the_terminal(width, capsys):
    config = load("wfi")
    _print_table(Console(width=width), config, _rates(config))
    shown = capsys.readouterr().out
    for row in TABLE:
        if row.link:
            assert url_of(row.link, config.links) in shown


def test_piped_it_has_whole_addresses():
    assert FRAMES in CliRunner().invoke(cli, ["explain", "wfi"], env={"COLUMNS": "80"}).output
