"""The figures of the page, empty: Bokeh's, whose script draws them in the browser and is given numbers only.

Colours: cividis for counts, viridis for energies, and those of Okabe and Ito, whom colour-blind readers can tell apart;
lines and marks differ in form as well.
"""

from collections.abc import Callable
from typing import Any, Final

from bokeh.embed import json_item
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    FactorRange,
    HoverTool,
    Legend,
    LinearColorMapper,
    LogColorMapper,
    LogTicker,
    Range1d,
    Span,
)
from bokeh.palettes import Cividis256, Oranges256, Viridis256
from bokeh.plotting import figure

from view.drawn import THEMES
from view.sight import PATTERNS, SPECTRUM_KEV

OKABE_ITO: Final = {
    "orange": "#E69F00", "sky": "#56B4E9", "green": "#009E73", "yellow": "#F0E442",
    "blue": "#0072B2", "vermilion": "#D55E00", "purple": "#CC79A7",
}  # fmt: skip
KINDS: Final = {"xrays": "green", "rejected": "vermilion", "tracks": "sky"}
BEHIND: Final = "#00204c"  # images of counts: the dark end of cividis
INK, GRID = THEMES["light"]


def figures() -> dict[str, Any]:
    """Return all figures for `Bokeh.embed.embed_item`, by name, in the light theme."""
    made: dict[str, Callable[[], Any]] = {
        "image": _image, "frame": _frame, "rates": _rates, "fraction": _fraction, "spectrum": _spectrum,
        "patterns": _patterns, "common_mode": _common_mode, "hits": _hits,
        "fit": _fit, "coronae": _coronae, "areas": _areas, "drift": _drift, "sky": _sky,
    }  # fmt: skip
    return {name: json_item(make(), f"figure-{name}") for name, make in made.items()}


def _plain(x: str, y: str, **more: Any) -> Any:
    """Return an empty figure with axes in the ink of the theme."""
    tools = more.pop("tools", "")
    plot = figure(
        sizing_mode="stretch_both", tools=tools, toolbar_location="right" if tools else None, output_backend="canvas",
        x_axis_label=x, y_axis_label=y, min_border=4, **more,
    )  # fmt: skip
    plot.background_fill_color = plot.border_fill_color = None
    plot.outline_line_color = GRID
    plot.toolbar.logo = None
    plot.toolbar.autohide = False
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = axis.axis_line_color = INK
        axis.major_tick_line_color = axis.minor_tick_line_color = INK
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_standoff = 4
    for grid in plot.grid:
        grid.grid_line_color = GRID
    return plot


def _legend(plot: Any, items: list[tuple[str, list[Any]]], columns: int = 4) -> None:
    """Put the legend above the plot; a click on an entry hides what it names."""
    legend = Legend(items=items, ncols=columns, click_policy="hide", border_line_color=None, padding=0)
    legend.background_fill_color = None
    legend.label_text_color = INK
    legend.label_text_font_size = "11px"
    legend.spacing, legend.margin, legend.glyph_width = 8, 2, 16
    plot.add_layout(legend, "above")


def _source(name: str, *columns: str) -> Any:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _range(name: str, start: float, end: float) -> Any:
    """Return a range that the page sets."""
    return Range1d(start, end, reset_start=start, reset_end=end, name=name)


def _ranges(name: str) -> dict[str, Any]:
    return {f"{axis}_range": _range(f"{name}-{axis}", 0, 1) for axis in ("x", "y")}


def _bar(plot: Any, mapper: Any, title: str, **more: Any) -> Any:
    bar = ColorBar(color_mapper=mapper, title=title, width=8, padding=4, background_fill_color=None, **more)
    bar.title_text_color = bar.major_label_text_color = bar.major_tick_line_color = INK
    bar.title_text_font_size = bar.major_label_text_font_size = "10px"
    bar.title_text_font_style = "normal"
    plot.add_layout(bar, "right")
    return bar


def _image() -> Any:
    """Return the image of what was counted, twice: with linear colours and with logarithmic ones."""
    tools = "pan,wheel_zoom,box_zoom,reset,save"
    plot = _plain("x, pixels of the focal plane", "y, pixels", tools=tools, **_ranges("image"))
    plot.grid.visible = False
    source = _source("image", "image", "x", "y", "dw", "dh")
    scales = {
        "linear": (LinearColorMapper(Cividis256, low=0, high=1, name="mapper-linear"), BasicTicker()),
        "log": (LogColorMapper(Cividis256, low=0.9, high=2, name="mapper-log"), LogTicker()),
    }
    for scale, (mapper, ticker) in scales.items():
        mapper.low_color = BEHIND
        drawn = plot.image("image", "x", "y", "dw", "dh", source=source, color_mapper=mapper, name=f"image-{scale}")
        bar = _bar(plot, mapper, "counts", ticker=ticker)
        bar.name = f"bar-{scale}"
        drawn.visible = bar.visible = scale == "log"
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("x, y", "$x{0}, $y{0}"), ("counts", "@image")]))
    places = _source("quadrants", "x", "y", "width", "height")  # between them is nothing, which is no count of 0
    plot.rect("x", "y", "width", "height", source=places, fill_color=None, line_color="#8a97a6", line_width=1)
    found = _source("found", "x", "y", "label", "colour")
    marks = plot.scatter(
        "x", "y", source=found, marker="circle", size=14, fill_color=None, line_color="colour", line_width=2
    )
    plot.add_tools(HoverTool(renderers=[marks], tooltips=[("source", "@label")]))
    return plot


def _frame() -> Any:
    """Return one frame: its pixels, maps of a network, tracks, and events by what was decided of them."""
    tools = "pan,wheel_zoom,box_zoom,reset,save"
    plot = _plain("x, pixels of the focal plane", "y, pixels", tools=tools, **_ranges("frame"))
    plot.grid.visible = False
    mapper = LogColorMapper(Viridis256, low=80, high=20_000, low_color="#1a1c2c", name="mapper-frame")
    pixels = _source("frame", "image", "x", "y", "dw", "dh")
    drawn = plot.image("image", "x", "y", "dw", "dh", source=pixels, color_mapper=mapper)
    _bar(plot, mapper, "eV", ticker=LogTicker())
    cams = _source("cams", "image", "x", "y", "dw", "dh", "p")
    heat = LinearColorMapper(Oranges256[::-1], low=0, high=1, low_color="#00000000", name="mapper-cams")
    map_drawn = plot.image("image", "x", "y", "dw", "dh", source=cams, color_mapper=heat, global_alpha=0.55)
    outline = plot.rect("cx", "cy", "dw", "dh", source=_source("windows", "cx", "cy", "dw", "dh", "p"),
                        fill_color=None, line_color=OKABE_ITO["orange"], line_dash="dashed")  # fmt: skip
    tracks = plot.segment(
        "x0", "y0", "x1", "y1", source=_source("tracks", "x0", "y0", "x1", "y1", "kev", "pixels"),
        line_color=OKABE_ITO["sky"], line_width=3, line_alpha=0.9,
    )  # fmt: skip
    forms = {
        "kept": ("circle", "yellow", "X-ray"), "screened": ("square_x", "vermilion", "screened out"),
        "cut": ("triangle", "purple", "cut"),
    }  # fmt: skip
    items = [("track", [tracks])]
    for kind, (marker, colour, label) in forms.items():
        source = _source(f"events-{kind}", "x", "y", "kev", "pattern", "p", "why")
        size = {"size": 7, "line_width": 1.5} if kind == "cut" else {"size": 13, "line_width": 2.5}  # these are many
        look = {"fill_color": None, "line_color": OKABE_ITO[colour], **size}
        marks = plot.scatter("x", "y", source=source, marker=marker, **look)
        tips = [("energy", "@kev{0.00} keV"), ("pattern", "@pattern"), ("p(particle)", "@p"), ("decision", "@why")]
        plot.add_tools(HoverTool(renderers=[marks], tooltips=tips))
        items.append((label, [marks]))
    plot.add_tools(HoverTool(renderers=[tracks], tooltips=[("track", "@kev{0.0} keV, @pixels pixels")]))
    plot.add_tools(HoverTool(renderers=[outline], tooltips=[("window", "@p")]))
    items.append(("CAM", [map_drawn, outline]))
    drawn.level, map_drawn.level = "image", "image"
    _legend(plot, items, columns=3)
    return plot


def _rates() -> Any:
    plot = _plain("seconds from now", "per second", x_range=(-120, 0), y_range=_range("rates-y", 0, 1), tools="hover")
    plot.hover.tooltips = [(name, f"@{name}{{0.0}}") for name in KINDS]
    source = _source("rates", "age", *KINDS)
    dashes = {"xrays": "solid", "rejected": "dashed", "tracks": "dotted"}
    labels = {"xrays": "X-rays", "rejected": "rejected", "tracks": "tracks"}
    items = []
    for kind, colour in KINDS.items():
        line = plot.line("age", kind, source=source, color=OKABE_ITO[colour], line_dash=dashes[kind], line_width=2)
        items.append((labels[kind], [line]))
    _legend(plot, items)
    return plot


def _fraction() -> Any:
    plot = _plain("seconds from now", "rejected / all", x_range=(-120, 0), y_range=(0, 1))
    plot.line(
        "age", "fraction", source=_source("fraction", "age", "fraction"), color=OKABE_ITO["vermilion"], line_width=2
    )
    return plot


def _spectrum() -> Any:
    ranges = {"x_range": (0, 15), "y_range": _range("spectrum-y", 0.5, 10)}
    plot = _plain("energy, keV", "counts per 75 eV", y_axis_type="log", tools="hover", **ranges)
    plot.hover.tooltips = [
        ("keV", "@kev{0.00}"),
        ("after", "@kept{0}"),
        ("before", "@before{0}"),
        ("rejected", "@rejected{0}"),
    ]
    middle = (SPECTRUM_KEV[1:] + SPECTRUM_KEV[:-1]) / 2
    empty = [0.0] * len(middle)
    data = {"kev": middle.tolist(), "kept": empty, "before": empty, "rejected": empty}
    source = ColumnDataSource(data, name="spectrum")
    forms = {
        "before": ("orange", "dashed", "without screening"), "kept": ("green", "solid", "with screening"),
        "rejected": ("vermilion", "dotted", "all rejected"),
    }  # fmt: skip
    items = []
    for name, (colour, dash, label) in forms.items():
        line = plot.step(
            "kev", name, source=source, mode="center", color=OKABE_ITO[colour], line_dash=dash, line_width=2
        )
        items.append((label, [line]))
    _legend(plot, items)
    return plot


def _patterns() -> Any:
    plot = _plain("", "share of X-rays, %", x_range=FactorRange(*PATTERNS), y_range=(0, 100))
    source = ColumnDataSource({"pattern": list(PATTERNS), "percent": [0.0] * len(PATTERNS)}, name="patterns")
    plot.vbar("pattern", top="percent", width=0.7, source=source, color=OKABE_ITO["blue"])
    return plot


def _by_quadrant(name: str, y: str) -> Any:
    plot = _plain("seconds from now", y, x_range=(-120, 0), y_range=_range(f"{name}-y", 0, 1))
    source = _source(name, "xs", "ys", "colour", "dash", "label")
    plot.multi_line("xs", "ys", source=source, color="colour", line_dash="dash", line_width=2, legend_field="label")
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.orientation, legend.background_fill_color, legend.border_line_color = "horizontal", None, None
    legend.label_text_color, legend.label_text_font_size, legend.padding = INK, "11px", 0
    return plot


def _common_mode() -> Any:
    return _by_quadrant("common_mode", "common mode, ADU")


def _hits() -> Any:
    return _by_quadrant("hits", "hits a frame")


def _fit() -> Any:
    """Return the spectrum of a source, without its background, and the power law that was fitted to it."""
    ranges = {"x_range": (0.5, 8), "y_range": _range("fit-y", 0.1, 10)}
    plot = _plain("energy, keV", "counts / keV", x_axis_type="log", y_axis_type="log", tools="hover", **ranges)
    plot.xaxis.ticker = [0.5, 1, 2, 4, 8]
    source = _source("fit", "x", "y", "low", "high", "left", "right", "model")
    cross = {"source": source, "line_color": OKABE_ITO["blue"], "line_width": 1.5}
    error, across = plot.segment("x", "low", "x", "high", **cross), plot.segment("left", "y", "right", "y", **cross)
    line = plot.step("x", "model", source=source, mode="center", color=OKABE_ITO["vermilion"], line_width=2)
    plot.hover.tooltips = [("keV", "@x{0.00}"), ("counts / keV", "@y{0.0}"), ("model", "@model{0.0}")]
    plot.hover.renderers = [line]
    _legend(plot, [("without background", [error, across]), ("absorbed power law", [line])])
    return plot


def _coronae() -> Any:
    """Return temperature and density of the stars, with what their network says of their errors."""
    plot = _plain("log T, K", "log n, cm⁻³", tools="hover", **_ranges("coronae"))
    source = _source("coronae", "x", "y", "x0", "x1", "y0", "y1", "label", "colour", "marker")
    for ends in (("x0", "y", "x1", "y"), ("x", "y0", "x", "y1")):
        plot.segment(*ends, source=source, line_color="colour", line_width=1)
    marks = plot.scatter("x", "y", source=source, marker="marker", size=9, line_color="colour", fill_color="colour")
    plot.hover.renderers, plot.hover.tooltips = [marks], [("", "@label")]
    return plot


def _areas() -> Any:
    """Return how far the temperatures of one telescope are off the other's, by temperature, for each set of fits."""
    ranges = {"x_range": _range("areas-x", 0.5, 20), "y_range": _range("areas-y", -10, 10)}
    plot = _plain("temperature, keV", "(T - T0) / T0, %", x_axis_type="log", **ranges)
    plot.xaxis.ticker = [1, 2, 5, 10]
    forms = {"whole": ("circle", "blue"), "reference": ("square", "green"), "window": ("triangle", "vermilion")}
    items = []
    for name, (marker, colour) in forms.items():
        source, look = _source(f"areas-{name}", "x", "y", "low", "high"), {"color": OKABE_ITO[colour]}
        error = plot.segment("x", "low", "x", "high", source=source, line_width=1.5, **look)
        marks = plot.scatter("x", "y", source=source, marker=marker, size=9, **look)
        items.append((name, [error, marks]))
    _legend(plot, items)
    return plot


def _drift() -> Any:
    """Return the chance that nothing has changed, by look; below the line it is an alarm."""
    ranges = {"x_range": _range("drift-x", 0.5, 2), "y_range": (1e-9, 2)}
    plot = _plain("look", "P of no change", y_axis_type="log", **ranges)
    source = _source("drift", "look", "p", "colour")
    plot.line("look", "p", source=source, color=OKABE_ITO["sky"])
    plot.scatter("look", "p", source=source, size=6, color="colour")
    limit = Span(location=1e-3, dimension="width", line_color=OKABE_ITO["vermilion"], line_dash="dashed", name="alarm")
    plot.add_layout(limit)
    return plot


def _sky() -> Any:
    """Return the gamma-ray sky: photons in squares of a degree, detections, alerts; l grows to the left."""
    tools = "pan,wheel_zoom,box_zoom,reset,save"
    plot = _plain("Galactic longitude, deg", "latitude, deg", tools=tools, x_range=(180, -180), y_range=(-90, 90))
    plot.grid.grid_line_alpha = 0.25  # above a dark map
    mapper = LogColorMapper(Cividis256, low=0.9, high=10, low_color=BEHIND, name="mapper-sky")
    photons = _source("sky", "image", "x", "y", "dw", "dh")
    plot.image("image", "x", "y", "dw", "dh", source=photons, color_mapper=mapper, level="image")
    _bar(plot, mapper, "photons/deg²", ticker=LogTicker())
    forms = {"known": ("circle", "yellow", "in the catalogue"), "new": ("square", "vermilion", "not in it"),
             "alerts": ("star", "purple", "alert")}  # fmt: skip
    items = []
    for kind, (marker, colour, label) in forms.items():
        source = _source(f"sky-{kind}", "x", "y", "label")
        marks = plot.scatter("x", "y", source=source, marker=marker, size=8, fill_color=None, line_width=2)
        marks.glyph.line_color, marks.glyph.size = OKABE_ITO[colour], 18 if kind == "alerts" else 8
        marks.glyph.fill_color = OKABE_ITO[colour] if kind == "alerts" else None
        plot.add_tools(HoverTool(renderers=[marks], tooltips=[("", "@label")]))
        items.append((label, [marks]))
    _legend(plot, items)
    return plot
