"""Fills docs/corona.md with the figures of the benches: `python -m bench.corona.page`."""

from collections.abc import Callable

from bench import figures
from bench.corona.network_page import instruments_table, lines_table, network_table, regridded_table, unknown_table
from bench.corona.nuts_page import nuts_table
from bench.corona.traditional_page import traditional_table
from bench.scaling import fill_all

PAGE = figures.FOLDER.parent / "corona.md"
BLOCKS: dict[str, Callable[[], str]] = {
    "nuts": nuts_table,
    "traditional": traditional_table,
    "network": network_table,
    "network lines": lines_table,
    "network instruments": instruments_table,
    "network regridded": regridded_table,
    "network unknown": unknown_table,
}


def filled(text: str) -> str:
    """Return a page with its tables, of the figures that are there."""
    return fill_all(text, BLOCKS)


def main() -> None:
    """Write it."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
