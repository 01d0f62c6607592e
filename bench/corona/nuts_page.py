"""The table of the hierarchical model of coronae."""

from bench import figures
from bench.corona.nuts import CASES
from bench.pages import show

ROWS = {  # what is shown, figure, what was to be reached
    "variables": ("variables", ""),
    "CPU, first run; compilation of it": ("CPU with compilation", "<= 15 s (S=1), 25 s (S=10)"),
    "CPU of a process from its start, nothing compiled": ("CPU of a process, cold", ""),
    "... of that in sampling and compilation": ("CPU of its sampling, cold", "<= 15 s, 25 s"),
    "CPU of a process from its start, programs kept": ("CPU of a process, warm", ""),
    "... of that in sampling": ("CPU of its sampling, warm", "<= 15 s, 25 s"),
    "CPU, each further run, median": ("CPU again", ""),
    "R-hat, at most": ("most R-hat", "<= 1.01"),
    "ESS, at least": ("least ESS", ">= 400"),
    "divergences": ("divergences", "0"),
    "batches": ("batches", ""),
    "of them pass their gates": ("batches that pass their gates", "all"),
    "of them went on beyond 400 draws": ("batches whose chains went on", ""),
    "of them diverged and began anew in smaller steps": ("batches whose steps were made smaller", ""),
    "draws of a chain, at most": ("most draws of a chain", ""),
    **{
        f"coverage, {level} % of {name}": (f"{name}: coverage of {level} %", f"{0.01 * level:g}")
        for name in ("log T", "log n")
        for level in (68, 90)
    },
    **{
        f"{what} {name}, SNR {snr}": (f"{name}, SNR {snr}: {key}", "")
        for name in ("log T", "log n")
        for snr in ("1-3", "3-10")
        for what, key in (("RMSE", "RMSE"), ("bound of", "bound"))
    },
}


def nuts_table() -> str:
    """Return figures of all cases, one a column."""
    found = figures.read("corona_nuts")
    cases = [name for name in CASES if any(key.startswith(f"{name}: ") for key in found)]
    lines = [f"| | {' | '.join(cases)} | to reach |", "|---|" + "---|" * (len(cases) + 1)]
    for what, (key, asked) in ROWS.items():
        cells = []
        for name in cases:
            row, more = found.get(f"{name}: {key}"), found.get(f"{name}: compilation")
            cell = show(row).strip() if row else "-"
            cells.append(f"{cell}; {show(more).strip()}" if more and key == "CPU with compilation" else cell)
        if any(cell != "-" for cell in cells):
            lines.append(f"| {what} | {' | '.join(cells)} | {asked} |")
    return "\n".join(lines)
