"""The table of the section "One region, thoroughly" of docs/lat.md."""

from bench import figures
from bench.lat.classes_page import Rows, value

PULLS = {  # as docs/figures/lat_analyse.json names them
    "ln flux": "flux, likelihood",
    "index": "index, likelihood",
    "curvature, log-parabola": "curvature, logparabola",
    "curvature, cut-off": "curvature, plec",
}
SAMPLED = ("flux", "index", "place")
GATES = "posteriors that pass their gates"
KINDS = {"logparabola": "log-parabola", "plec": "cut-off"}


def analyse_table() -> str:
    """Return what the likelihood says of sources that are known; posteriors beside it; nothing if not measured."""
    rows = figures.read("lat_analyse")
    if not rows:
        return "not measured yet"
    seen, sources = (rows[key]["value"] for key in ("of them seen, TS >= 9", "sources"))
    lines = ["| | pull, mean | pull, sd | within 68 % | within 90 % |", "|---|---|---|---|---|"]
    for shown, name in PULLS.items():
        keys = [f"{name}: {what}" for what in ("pull, mean", "pull, sd", "within 68 %", "within 90 %")]
        lines.append(f"| {shown} | {' | '.join(value(rows, key) for key in keys)} |")
    place = [value(rows, f"place, likelihood: within {share}") for share in ("68%", "90%")]
    lines += [f"| place | - | - | {' | '.join(place)} |", *_sampled(rows), ""]
    curved = [f"{value(rows, _curved(kind))} ({shown})" for kind, shown in KINDS.items()]
    lines += [
        f"{seen} of {sources} power laws are seen (TS >= 9). TS_curv above 4, though none is curved, by chance 0.046:",
        f"{', '.join(curved)}.",
        f"Flux over that of the stream's search, median: {value(rows, 'flux over that of the search, median')}.",
    ]
    if GATES in rows:
        number = int(rows[GATES]["unit"].split()[-1])
        widths = [f"{value(rows, _width(name))} ({name})" for name in ("flux", "index")]
        lines += [
            f"Posteriors that pass their gates: {round(number * rows[GATES]['value'])} of {number}; their width over",
            f"the error of the likelihood, median: {', '.join(widths)}.",
        ]
    return "\n".join(lines)


def _sampled(rows: Rows) -> list[str]:
    """Return the lines of posteriors, if there are any."""
    lines = []
    for name in SAMPLED:
        keys = [f"{name}, emcee: within {share}" for share in ("68%", "90%")]
        if keys[0] in rows:
            lines.append(f"| {name}, posterior | - | - | {' | '.join(value(rows, key) for key in keys)} |")
    return lines


def _curved(kind: str) -> str:
    return f"false curvature, {kind}: TS_curv > 4 on power laws"


def _width(name: str) -> str:
    return f"{name}: width by emcee over that of the likelihood, median"
