"""Drift of the calibration of two telescopes as PNG, for the screen and for print."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.transport.pictures import COLOURS, INK, VERMILION, picture

DAY_S: Final = 86400.0
LEAST_P: Final = 1e-12  # shown


def plot_drift(png: Path, drift: NDArray[Any], alarm_p: float, title: str = "") -> Path:
    """Draw DRIFT of a product "calibration" against time: dT/T in per cent, and the chance of no change; return `png`.

    Looks that raise an alarm are filled. Raises LinkError if `png` cannot be written.
    """
    with picture(png, 8.4, 6.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
        first = drift["TIME"][0] if len(drift) else 0.0
        days = (drift["TIME"] - first) / DAY_S
        alarm = drift["P"] < alarm_p
        spread = 0.004 * (np.ptp(days) if len(days) else 1.0)
        for k, kt in enumerate(drift["KT"][0] if len(drift) else ()):
            colour, moved = COLOURS[k % len(COLOURS)], days + (k - 1.5) * spread
            dt, error = 100 * drift["DT"][:, k], 100 * drift["DT_ERR"][:, k]
            upper.errorbar(moved, dt, error, fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.6)
            upper.plot(moved, dt, "-o", color=colour, mfc="white", ms=4, lw=0.9, label=f"{kt:g} keV")
            upper.plot(moved[alarm], dt[alarm], "o", color=colour, ms=4)
        upper.axhline(0, color=INK, lw=0.7)
        upper.set(ylabel="window less reference: change of dT/T, %", title=title)
        if len(drift):
            upper.legend(ncols=4)
        chance = np.maximum(drift["P"], LEAST_P)
        lower.semilogy(days, chance, "-o", color=INK, mfc="white", ms=4, lw=0.9)
        lower.semilogy(days[alarm], chance[alarm], "o", color=INK, ms=4)
        lower.axhline(alarm_p, color=VERMILION, lw=0.9, ls="--")
        lower.text(
            0.01, alarm_p, f"alarm at {alarm_p:g}", va="bottom", fontsize=8, transform=lower.get_yaxis_transform()
        )
        lower.set(xlabel=f"days since {first:.0f} s", ylabel="P of no change", ylim=(LEAST_P / 3, 3))
    return png
