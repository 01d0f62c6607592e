"""Fills docs/lat.md with the figures of the benches."""

from itertools import pairwise

import numpy as np

from bench import figures, pages
from bench.lat.analyse_page import analyse_table
from bench.lat.classes_page import Rows, classes_table, cutouts_table, fakes_table, value
from bench.lat.localise import FROM, PURE, RANKS, STREAM
from bench.lat.search import CUTS, EDGES
from bench.scaling import fill

PAGE = figures.FOLDER.parent / "lat.md"
ASKED = {
    1.27e-10: (".55 / .90", ".042"),
    2.34e-10: (".90 / .95", ".030"),
    4.28e-10: (".99 / .97", ".023"),
    7.85e-10: (".99 / .98", ".019"),
}
LABEL = "TS > 25"


def shown(rows: Rows, key: str) -> str:
    return pages.show(rows[key]).strip() if key in rows else "not measured yet"


def search_table() -> str:
    rows = figures.read("lat_search")
    head = "flux above 1 GeV, from | completeness | purity | without chance | to reach | place, median | to reach"
    lines = [f"| {head} | within 10 deg of the plane | all sky |"]
    lines.append("|" + "---|" * 9)
    for low, _ in pairwise(EDGES):
        key = f"{LABEL}, |b| > 20, from {low:.2e}"
        asked, place = ASKED.get(low, ("", ""))
        off = rows.get(f"{key}: position, median", {}).get("value")
        cells = [
            f"{low:.2e}",
            value(rows, f"{key}: completeness"),
            value(rows, f"{key}: purity"),
            value(rows, f"{key}: purity, chance taken out"),
            asked,
        ]
        cells += [f"{off:.4f} deg" if off else "-", place]
        for cut in ("|b| < 10", "all sky"):
            other = f"{LABEL}, {cut}, from {low:.2e}"
            both = [rows.get(f"{other}: {what}", {}).get("value", float("nan")) for what in ("completeness", "purity")]
            cells.append(f"{both[0]:.2f} / {both[1]:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    cpu, far, near = (
        shown(rows, "search of a sky: CPU"),
        value(rows, f"{LABEL}, |b| > 20: purity"),
        value(rows, f"{LABEL}, |b| < 10: purity"),
    )
    lines += [
        "",
        f"Skies: {shown(rows, 'skies')}; the search of one takes {cpu} of CPU. Purity of all that was found: {far}",
    ]
    lines += [
        f"above 20 degrees of latitude, {near} below 10. First columns: above 20 degrees; last: completeness / purity."
    ]
    return "\n".join(lines)


def real_table() -> str:
    rows = figures.read("lat_realmap")
    lines = ["| | TS > 9 | TS > 16 | TS > 25 | to reach | drawn from DR2, TS > 9 |", "|---|---|---|---|---|---|"]
    asked = {
        "found above 40 sigma": "1.00", "found above 20 sigma, |b| > 20": ".98", "found of 10-20 sigma": ".80",
        "found of 10-20 sigma, |b| > 20": "", "found above 20 sigma": "", "found of 0-10 sigma": "reported",
        "found of 0-10 sigma, associated": "reported", "purity against DR2": "stated",
        "purity against DR2, |b| > 20": "",
    }  # fmt: skip
    counts = [str(rows.get(f"TS > {t}: detections", {}).get("value", "-")) for t in (9, 16, 25)]
    drawn = "of DR2 alone, TS > 9"
    lines.append(f"| detections | {' | '.join(counts)} | | {rows.get(f'{drawn}: detections', {}).get('value', '-')} |")
    for name, wanted in asked.items():
        cells = [value(rows, f"TS > {t}: {name}") for t in (9, 16, 25)]
        cells += [wanted, value(rows, f"{drawn}: {name}")]
        lines.append(f"| {name.replace('|', chr(92) + '|')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sky_table() -> str:
    rows, lines = figures.read("lat_realsky"), ["| data / model | measured | to reach |", "|---|---|---|"]
    for band, name, wanted in (
        ("above 10 GeV", "3FHL, above 10 GeV, all sky", "0.99-1.01"),
        ("2-20 GeV", "2-20 GeV, all sky", "0.95-1.0"),
    ):
        lines.append(
            f"| {name}, isotropic light of P8R3_SOURCE | {value(rows, f'{band}, all sky: data/model')} | {wanted} |"
        )
        own = f"{band}, all sky: data/model, isotropic light of its class"
        lines.append(f"| {name}, isotropic light of the map's own class | {value(rows, own)} | {wanted} |")
    for band, end in (("above 10 GeV", ", isotropic light of its class"), ("2-20 GeV", "")):
        for b in ("0-2", "2-5", "5-10", "10-20", "20-30", "30-60", "60-90"):
            lines.append(f"| {band}, \\|b\\| {b} | {value(rows, f'{band}, |b| {b}: data/model{end}')} | |")
    return "\n".join(lines)


def network_table() -> str:
    rows = figures.read("lat_localise")
    lines = [f"| complete above {FROM:.1e}, at purity | {' | '.join(RANKS)} |", "|---|" + "---|" * len(RANKS)]
    for cut in CUTS:
        for pure in PURE:
            cells = [value(rows, f"{way}, {cut}: complete above {FROM:.2e} where {pure:g} pure") for way in RANKS]
            lines.append(f"| {cut.replace('|', chr(92) + '|')}: {pure:g} | {' | '.join(cells)} |")
    ways = ("filter, TS > 25", "network, p > 0.2", STREAM)
    lines += ["", f"| completeness / purity, place | {' | '.join(ways)} |", "|---|" + "---|" * len(ways)]
    for cut in CUTS:
        for low, _ in pairwise(EDGES):
            cells = []
            for way in ways:
                key = f"{way}, {cut}, from {low:.2e}"
                both = [rows.get(f"{key}: {name}", {}).get("value", np.nan) for name in ("completeness", "purity")]
                place = rows.get(f"{key}: position, median", {}).get("value", np.nan)
                cells.append(f"{both[0]:.3f} / {both[1]:.3f}, {place:.3f} deg")
            lines.append(f"| {cut.replace('|', chr(92) + '|')}, from {low:.2e} | {' | '.join(cells)} |")
    spent = [f"{way} {shown(rows, f'{way}: CPU of a sky')}" for way in ("filter", "network")]
    return "\n".join([*lines, "", f"Skies: {shown(rows, 'skies')}; CPU of one: {', '.join(spent)}."])


BLOCKS = {
    "search": search_table,
    "network": network_table,
    "real": real_table,
    "sky": sky_table,
    "analyse": analyse_table,
    "classes": classes_table,
    "cutouts": cutouts_table,
    "fakes": fakes_table,
}


def filled(text: str) -> str:
    """Return a page with its tables, of the figures that are there."""
    for name, make in BLOCKS.items():
        text = fill(text, name, make())
    return text


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
