"""Table of the traditional way beside the network."""

from bench import figures
from bench.corona.network_page import value


def traditional_table() -> str:
    """Return RMSE, failures and time of both ways on the same spectra."""
    rows = figures.read("corona_traditional")
    lines = ["| on the same spectra, SNR | 1-3 | 3-10 |", "|---|---|---|"]
    for name in ("log T", "log n"):
        for text, key in (
            (f"RMSE {name}, ratios of lines, where they tell one", f"RMSE {name}, ratios"),
            ("... the network on those", f"RMSE {name}, network, where ratios tell one"),
            ("... the network on all", f"RMSE {name}, network"),
            (f"no {name} from ratios", f"{name} not told, ratios"),
        ):
            cells = [value(rows, f"SNR {group}: {key}") for group in ("1-3", "3-10")]
            lines.append(f"| {text} | {' | '.join(cells)} |")
    for text, key in (
        ("seconds a spectrum, ratios", "time, ratios"),
        ("line accuracy, Gaussian fits at 3 sigma", "line accuracy, Gaussian fits at 3 sigma"),
    ):
        cells = [value(rows, f"SNR {group}: {key}") for group in ("1-3", "3-10")]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)
