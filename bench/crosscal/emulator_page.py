"""Tables of the emulator of cross-calibration and of the monitor of a drift."""

from typing import Any

from bench import figures, pages

Rows = dict[str, dict[str, Any]]
NAME = "crosscal_emulator"
RANGES = ("0-2", "2-5", "5-10", "10-100")


def value(rows: Rows, key: str, digits: int = 3) -> str:
    """Return a figure with its interval; a dash where it was not measured."""
    row = rows.get(key)
    if row is None:
        return "-"
    ends = f" [{row['ci'][0]:.{digits}f}, {row['ci'][1]:.{digits}f}]" if row["ci"] else ""
    return f"{row['value']:.{digits}f}{ends}"


def emulator_table() -> str:
    """Return how far it is off, and what it costs."""
    rows = figures.read(NAME)
    sets = ("kept back", "other points")
    lines = ["| error of the fitted temperature, % | thetas kept back | other thetas and temperatures | to reach |"]
    lines.append("|---|---|---|---|")
    for text, to in (("median", "<= 0.2"), ("99 %", ""), ("worst", "<= 1")):
        cells = [value(rows, f"{name}: error of kt_fit, {text}") for name in sets]
        lines.append(f"| {text} | {' | '.join(cells)} | {to} |")
    for span in RANGES:
        title = f"{span} keV" if span != RANGES[-1] else "10 keV and hotter"
        cells = [
            "; ".join(value(rows, f"{name}: error of kt_fit, {span} keV, {text}") for text in ("median", "worst"))
            for name in sets
        ]
        lines.append(f"| {title}: median; worst | {' | '.join(cells)} | |")
    cells = [value(rows, f"{name}: error of kt_fit_sd, median", 1) for name in sets]
    lines += [f"| of its statistical error, median | {' | '.join(cells)} | |", ""]
    return "\n".join([*lines, *costs(rows)])


def costs(rows: Rows) -> list[str]:
    """Return what an evaluation and the training cost, and how exact the gradient is."""
    out = []
    times = [key for key in rows if key.startswith("evaluation with gradient")]
    if times:
        told = "; ".join(f"{key.removeprefix('evaluation with gradient, ')} {value(rows, key, 2)} us" for key in times)
        out.append(f"CPU of an evaluation with its gradient, one thread: {told} (to reach: 20 us).")
    for key, text in (
        (
            "gradient: beside finite differences, of the largest",
            "Gradient beside finite differences: {} of the largest;",
        ),
        ("gradient: ONNX beside torch, of the largest", "ONNX beside torch {};"),
        ("parity: difference of ln ratio", "of ln kT {}."),
        ("weights", "Weights: {};"),
        ("fits of the training", "fits of the training: {}."),
    ):
        if key in rows:
            out.append(text.format(pages.show(rows[key]).strip()))
    return out


def monitor_table() -> str:
    """Return what the monitor of a drift detects, how soon, and whether its errors are right."""
    rows = figures.read(NAME)
    names = list(dict.fromkeys(key.split(": ")[0] for key in rows if key.startswith("monitor, ")))
    heads = ["dT/T at 10 keV, change, %", "its error, %", "68 % hold, 1; 2; 5; 10 keV", "90 % hold"]
    heads += ["looks with P < 0.01, %", "P < 0.001, %", "fits until the alarm: median", "90 %"]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name in names:
        hold = [
            "; ".join(value(rows, f"{name}: {level} % intervals hold, {kt} keV", 0) for kt in (1, 2, 5, 10))
            for level in (68, 90)
        ]
        cells = [value(rows, f"{name}: {key} at 10 keV", 1) for key in ("drift", "error of the drift")]
        cells += hold + [value(rows, f"{name}: looks with P below {limit}", 1) for limit in ("0.01", "0.001")]
        cells += [value(rows, f"{name}: fits until detected, {q}", 0) for q in ("median", "90 %")]
        lines.append(f"| {name.removeprefix('monitor, ')} | {' | '.join(cells)} |")
    return "\n".join(lines)
