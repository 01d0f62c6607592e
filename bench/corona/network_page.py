"""Tables of the network of coronae."""

from typing import Any

from bench import figures, pages

Rows = dict[str, dict[str, Any]]
NAME = "corona_network"
OTHERS = {"HETG": "", "LETG": "_letg", "EUV": "_euv"}


def value(rows: Rows, key: str, digits: int = 3, scale: float = 1.0) -> str:
    """Return a figure with its interval; a dash where it was not measured."""
    row = rows.get(key)
    if row is None or row["value"] is None or row["value"] != row["value"]:
        return "-"
    ends = f" [{scale * row['ci'][0]:.{digits}f}, {scale * row['ci'][1]:.{digits}f}]" if row["ci"] else ""
    return f"{scale * row['value']:.{digits}f}{ends}"


def network_table() -> str:
    """Return how well the parameters are known."""
    rows = figures.read(NAME)
    lines = ["| SNR of the strongest line | 1-3 | 3-6 | 6-10 | 3-10 | to reach |", "|---|---|---|---|---|---|"]
    groups = ("1-3", "3-6", "6-10", "3-10")
    asked = {"log T": "<= .085; .030 (3-10)", "log n": "<= 1.1 of the bound"}
    for name in ("log T", "log n"):
        for text, key, to in (
            (f"RMSE {name}, one temperature", "one, SNR {}: RMSE " + name, asked[name]),
            ("... least possible (Cramer-Rao)", "one, SNR {}: RMSE " + name + ": bound", ""),
            ("... network / bound", "one, SNR {}: RMSE " + name + ": over bound", ""),
        ):
            cells = [value(rows, key.format(group), 3) for group in groups]
            lines.append(f"| {text} | {' | '.join(cells)} | {to} |")
        for kind in ("isothermal", "two", "continuous"):
            cells = [value(rows, f"any, {kind}, SNR {group}: RMSE {name}") for group in groups]
            lines.append(f"| RMSE {name}, no assumption: {kind} | {' | '.join(cells)} | |")
    lines += [
        "",
        "| coverage of conformal intervals, % | all | SNR 1-3 | 3-6 | 6-10 | to reach |",
        "|---|---|---|---|---|---|",
    ]
    for level in (68, 90, 95):
        for name in ("log T", "log n", "log norm"):
            for head in ("one", "any"):
                key = f"coverage {level} % of {name}, {head}"
                cells = [value(rows, key, 1, 100), *(value(rows, f"{key}, SNR {g}", 1, 100) for g in groups[:3])]
                lines.append(f"| {level} % of {name}, {head} | {' | '.join(cells)} | {level} +- 1 |")
    lines += ["", *costs(rows)]
    return "\n".join(lines)


def costs(rows: Rows) -> list[str]:
    """Return what a spectrum and the training cost."""
    out = []
    each = {size: rows[key] for size in (1, 64) if (key := f"time per spectrum, {size} at once") in rows}
    if each:
        told = "; ".join(f"{size} at once {pages.show(row)}" for size, row in each.items())
        whole = pages.show(rows["time per spectrum, with intervals and flags"])
        out.append(f"CPU of a spectrum by onnxruntime, one thread: {told} (to reach: 0.2 ms);")
        out.append(f"with intervals and flags {whole}.")
    if "CPU of the training" in rows:
        many, spent = (rows[key] for key in ("spectra of the training", "CPU of the training"))
        out.append(f"Trained on {many['value']:,.0f} spectra, {pages.show(spent)} of CPU.")
    return out


def lines_table() -> str:
    """Return how well lines are told, beside the matched filter."""
    rows = figures.read(NAME)
    groups = ("1-3", "3-6", "6-10", "9-10")
    lines = [f"| SNR | {' | '.join(groups)} | to reach |", "|---|---|---|---|---|---|"]
    for text, key, to in (
        ("network, as told: accuracy", "line accuracy, SNR {}", ">= 95 % at 10"),
        ("network, as told: precision, whole list", "line precision, SNR {}", ""),
        ("network, as told: recall, whole list", "line recall, SNR {}", ""),
        ("network, p > 1/2: accuracy", "p > 1/2: line accuracy, SNR {}", ""),
        ("network, p > 1/2: precision, whole list", "p > 1/2: line precision, SNR {}", ""),
        ("network, p > 1/2: recall, whole list", "p > 1/2: line recall, SNR {}", ""),
        ("matched filter at 3 sigma: accuracy", "matched filter, 3 sigma: line accuracy, SNR {}", ""),
        ("matched filter at its best threshold: accuracy", "matched filter, best: line accuracy, SNR {}", ""),
    ):
        cells = [value(rows, key.format(group), 1, 100) for group in groups]
        lines.append(f"| {text} | {' | '.join(cells)} | {to} |")
    return "\n".join(lines)


def unknown_table() -> str:
    """Return what is flagged."""
    rows = figures.read(NAME)
    lines = ["| spectra | flagged, % | by counts | by residual | by distance |", "|---|---|---|---|---|"]
    for key in rows:
        if key.startswith("flagged: ") and ", by " not in key:
            by = [value(rows, f"{key}, by {what}", 1, 100) for what in ("counts", "residual", "distance")]
            lines.append(f"| {key.removeprefix('flagged: ')} | {value(rows, key, 1, 100)} | {' | '.join(by)} |")
    return "\n".join(lines)


def instruments_table() -> str:
    """Return how the networks of the three instruments do."""
    each = {name: figures.read(NAME + end) for name, end in OTHERS.items()}
    lines = [f"| one temperature | {' | '.join(each)} | to reach |", "|---|" + "---|" * (len(each) + 1)]
    rows: list[tuple[str, str, int, float, str]] = [
        ("bins", "bins", 0, 1, ""),
        ("lines", "lines of the list", 0, 1, ""),
    ]
    for name, goals in (("log T", ("<= .085", "<= .030")), ("log n", ("", ""))):
        for group, asked in zip(("1-3", "3-10"), goals, strict=True):
            key = f"one, SNR {group}: RMSE {name}"
            ratio = "<= 1.1" if name == "log n" else ""
            rows += [(f"RMSE {name}, SNR {group}", key, 3, 1, asked), ("... bound", f"{key}: bound", 3, 1, "")]
            rows += [("... network / bound", f"{key}: over bound", 3, 1, ratio)]
    for level in (68, 90):
        for name in ("log T", "log n"):
            for head, text in (("one", ""), ("any", ", any emission measure")):
                key = f"coverage {level} % of {name}, {head}"
                rows.append((f"coverage {level} % of {name}{text}", key, 1, 100, f"{level} +- 1"))
    rows += [(f"line accuracy, SNR {g}, %", f"line accuracy, SNR {g}", 1, 100, "") for g in ("1-3", "3-6", "6-10")]
    rows += [("line accuracy, SNR 9-10, %", "line accuracy, SNR 9-10", 1, 100, ">= 95")]
    rows += [("CPU of a spectrum, 64 at once, ms", "time per spectrum, 64 at once", 3, 1, "<= .2")]
    rows += [("size, MB", "size of the model", 2, 1, "")]
    for text, key, digits, scale, to in rows:
        cells = [value(found, key, digits, scale) for found in each.values()]
        lines.append(f"| {text} | {' | '.join(cells)} | {to} |")
    return "\n".join(lines)


def regridded_table() -> str:
    """Return how spectra of another grid and area are told."""
    rows = figures.read(NAME)
    groups = ("3-10", "10-30")
    lines = [f"| SNR, as observed | {' | '.join(groups)} |", "|---|---|---|"]
    for text, key, digits, scale in (
        ("counts kept, median, %", "counts kept, median", 1, 100),
        ("flagged, %", "flagged", 1, 100),
        ("RMSE log T", "RMSE log T", 3, 1),
        ("RMSE log n", "RMSE log n", 3, 1),
        ("RMSE log norm", "RMSE log norm", 3, 1),
    ):
        cells = [value(rows, f"another grid and area, SNR {group}: {key}", digits, scale) for group in groups]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)
