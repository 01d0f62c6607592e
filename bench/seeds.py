"""docs/seeds.md: what the five papers claim, and what was measured of it: `python -m bench.seeds`."""

import tomllib
from pathlib import Path
from typing import Any, Final

from bench import figures, pages
from bench.scaling import fill

PAGE: Final = figures.FOLDER.parent / "seeds.md"
CLAIMS: Final = Path(__file__).with_suffix(".toml")


def table(claims: list[dict[str, Any]], found: dict[str, dict[str, Any]]) -> str:
    """Return the rows of a paper; a claim whose figures are not there yet says so."""
    lines = ["| the paper | what is built, and how it was judged | measured |", "|---|---|---|"]
    for claim in claims:
        measured = found.get(claim.get("figures", ""), {})
        shown = [pages.show(measured[key]).strip() for key in claim.get("keys", ()) if key in measured]
        missing = "not measured" if claim.get("keys") else ""
        lines.append(f"| {claim['says']} | {claim['built']} | {'; '.join(shown) or missing} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """Return the page with its tables."""
    found = pages.read()
    for name, claims in tomllib.loads(CLAIMS.read_text()).items():
        text = fill(text, name, table(claims, found))
    return text


def main() -> None:
    """Write it."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
