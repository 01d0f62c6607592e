"""A field of the Galaxy of known truth: its picture, log N-log S by class, and how fast fields are made and measured.

python -m bench.sources.field
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from bench import figures
from sim.sources.camera import built_in
from sim.sources.catalogue import catalogue_of
from sim.sources.field import Field, Setup, make_field
from sim.sources.galaxy import look
from sim.sources.populations import CLASSES, DIFFUSE
from sim.sources.sky import log_n_log_s
from stream.transport.pictures import STYLES, picture

COMMAND = "python -m bench.sources.field"
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
BANDS = ((0.5, 1.2), (1.2, 2.0), (2.0, 8.0))  # red, green, blue
COLOURS = {"AGN": "#ff9d3a", "CV": "#39c5ff", "LMXB": "#ff4fd8", "NS": "#b6ff3a", "star": "#fff27a", DIFFUSE: "#ffffff"}
MARKS = {"AGN": "o", "CV": "s", "LMXB": "D", "NS": "^", "star": "*", DIFFUSE: "x"}
SETUP = Setup(density=0.5, numbers={"LMXB": 6, "NS": 6}, exposure_s=6_000)
FIELDS = 6


def measure() -> tuple[dict[str, tuple[Any, ...]], Field, Any]:
    """Return the figures, a field, and what was found in it."""
    camera = built_in()
    table: dict[str, tuple[Any, ...]] = {}
    catalogue_of(make_field(camera, SETUP, 99))  # compiled, and components' spectra made
    made, making = timed(lambda: [make_field(camera, SETUP, seed) for seed in range(FIELDS)])
    found, measuring = timed(lambda: [catalogue_of(one) for one in made])
    table["fields_per_minute"] = (60 * FIELDS / making, "fields per minute and core, events and truth")
    table["catalogues_per_minute"] = (60 * FIELDS / measuring, "catalogues per minute and core")
    table["sources_per_catalogue"] = (float(np.mean([len(rows) for rows in found])), "found")
    table["catalogue_s"] = (measuring / FIELDS, "CPU s for a catalogue")
    table["events"] = (float(np.mean([len(one.events) for one in made])), "events in a field")
    true = Counter(name.decode() for one in made for name in one.truth["class"])
    seen = Counter(name.decode() for rows in found for name in rows["class"])
    for name in (*CLASSES, DIFFUSE):
        table[f"found_{name}"] = (seen[name] / FIELDS, "a field")
        if name != DIFFUSE:
            table[f"true_{name}"] = (true[name] / FIELDS, "a field, above 5 counts")
    for name, there in log_n_log_s(look(SETUP.l_deg, SETUP.b_deg), (np.pi / 180) ** 2, np.array([-14.0])).items():
        table[f"above_1e-14_{name}"] = (float(there[0]), "deg-2 at l 0, b -1.5, 0.5-8 keV absorbed")
    bulge = log_n_log_s(look(0.1, -1.4), 0.0121 * (np.pi / 180) ** 2, np.array([-16.0]))
    table["chandra_bulge_field"] = (float(sum(n[0] for n in bulge.values())), "above 1e-16 where Chandra found 473")
    table.update(fluxes(made, found))
    return table, made[0], found[0]


def fluxes(made: list[Field], found: list[Any]) -> dict[str, tuple[Any, ...]]:
    """Return how well fluxes and positions come out, of sources of more than 100 net counts."""
    ratio, apart = [], []
    for one, rows in zip(made, found, strict=True):
        good = rows[(rows["source"] >= 0) & (rows["net_counts"] > 100)]
        true = one.truth[good["source"]]
        ratio.append(good["log_flux"] - np.log10(true["flux"]))
        apart.append(np.hypot(good["x"] - true["x"], good["y"] - true["y"]))
    dex, px = np.concatenate(ratio), np.concatenate(apart)
    return {
        "flux_bias": (float(np.nanmedian(dex)), "dex, median"),
        "flux_spread": (float(1.4826 * np.nanmedian(abs(dex - np.nanmedian(dex)))), "dex, of the middle"),
        "position_error": (float(np.median(px)), "px, median"),
        "bright": (int(np.isfinite(dex).sum()), "sources"),
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what was made and the CPU seconds that it took."""
    begin = time.process_time()
    made = work()
    return made, time.process_time() - begin


def draw_field(field: Field, rows: Any) -> None:
    """Write the picture: three bands in colour, and what was found with its true class."""
    layers = [gaussian_filter(field.image(*band), 1.2) for band in BANDS]
    colour = np.stack([np.arcsinh(layer / (1.5 * np.median(layer))) for layer in layers], axis=-1)
    colour /= np.percentile(colour.reshape(-1, 3), 99.7, axis=0)
    with picture(PICTURES / "sources_field.png", 14, 7.8) as figure:
        plain, told = figure.subplots(1, 2)
        for axes in (plain, told):
            axes.imshow(np.clip(colour, 0, 1))
            axes.set(xlabel="x (pixels)", ylabel="y (pixels)")
        for name in (*CLASSES, DIFFUSE):
            mine = rows[rows["class"] == name.encode()]
            face = {"c": COLOURS[name]} if MARKS[name] == "x" else {"facecolors": "none", "edgecolors": COLOURS[name]}
            label = f"{name} ({len(mine)})"
            told.scatter(mine["x"], mine["y"], 90, marker=MARKS[name], linewidths=1.3, label=label, **face)
        figure.legend(loc="outside lower right", ncols=6, frameon=True, facecolor="0.2", labelcolor="white")
        bands = "red 0.5-1.2, green 1.2-2, blue 2-8 keV"
        plain.set_title(
            f"l 0, b -1.5 deg, {field.setup.exposure_s:g} s, 19 arcmin: {len(field.events):,} events; {bands}"
        )
        told.set_title(f"{len(rows)} found, with their true classes")


def draw_counts() -> None:
    """Write log N-log S of every class at three places."""
    log_flux = np.linspace(-16.5, -11.5, 101)
    places = {"bulge, l 0, b -1.5": (0.0, -1.5), "plane, l 30, b 0.2": (30.0, 0.2), "l 90, b 60": (90.0, 60.0)}
    with picture(PICTURES / "sources_counts.png", 13, 4.4) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (title, place) in zip(panels, places.items(), strict=True):
            told = log_n_log_s(look(*place), (np.pi / 180) ** 2, log_flux)
            for (name, above), (colour, line, _) in zip(told.items(), STYLES, strict=False):
                axes.loglog(10**log_flux, np.maximum(above, 1e-9), label=name, color=colour, ls=line)
            axes.set(title=title, xlabel="flux, 0.5-8 keV, absorbed (erg cm$^{-2}$ s$^{-1}$)", ylim=(1e-3, 3e5))
        panels[0].set_ylabel("N(>S) (deg$^{-2}$)")
        panels[0].legend()


def main() -> None:
    """Measure, draw, write."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    table, field, rows = measure()
    figures.write("sources_field", COMMAND, table)
    draw_field(field, rows)
    draw_counts()


if __name__ == "__main__":
    main()
