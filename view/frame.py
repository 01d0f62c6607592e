"""The newest whole frame for the page: its pixels with signal, its tracks, and what was decided of its events."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.messages import Product, Reason, Start
from view.sight import Sight, segments

if TYPE_CHECKING:
    from view.cams import Cams  # loads Numba: only for who asks for maps

MOST: Final = 60_000  # pixels that are sent; the brightest
NAMES: Final = {reason: str(reason.name).lower().replace("_", " ") for reason in Reason}


def frame_of(product: Product, sight: Sight, floor_ev: float, cams: "Cams | None") -> dict[str, Any] | None:
    """Return the frame for JSON; None while its decisions, or its stream, are not known.

    floor_ev: of pixels that are shown. Maps are there with `cams` only.
    """
    start, decided = sight.start, sight.decided(product.sequence)
    if start is None or decided is None or product.stream != start.stream:
        return None
    events, tracks = decided
    told = {
        "sequence": product.sequence,
        "floor_ev": floor_ev,
        "quadrants": _quadrants(product, floor_ev),
        "events": _events(events, start),
        "tracks": _tracks(tracks, start),
    }
    return (
        told
        if cams is None
        else told | {"cams": cams.look(frames_of(product), events), "network": cams.name, "own": cams.own}
    )


def _quadrants(product: Product, floor_ev: float) -> list[dict[str, Any]]:
    pixels, found = product.tables["PIXELS"]["EV"], []
    for row in product.tables["QUADRANTS"]:
        size = int(row["ROWS"]) * int(row["COLUMNS"])
        mine = pixels[row["FIRST"] : row["FIRST"] + size]
        at = np.flatnonzero(mine >= floor_ev)
        if len(at) > MOST:
            at = at[np.argpartition(-mine[at].astype(np.int32), MOST)[:MOST]]
        place = {name.lower(): int(row[name]) for name in ("ID", "ROWS", "COLUMNS", "X", "Y")}
        found.append(place | {"at": at.tolist(), "ev": mine[at].tolist()})
    return found


def _origins(start: Start) -> Any:
    origins = np.zeros((256, 2), np.int32)
    for q in start.quadrants:
        origins[q.id] = q.origin_x_px, q.origin_y_px
    return origins


def _events(events: Any, start: Start) -> dict[str, list[Any]]:
    """Return columns x, y (focal plane, middle of the pixel), energy, pattern, p, kind and why of each event."""
    place = _origins(start)[events["quadrant"]] + np.stack([events["x"], events["y"]], axis=1) + 0.5
    reasons = events["reason"].tolist()
    screened = int(Reason.SCREEN)
    return {
        "x": place[:, 0].tolist(),
        "y": place[:, 1].tolist(),
        "ev": np.round(events["energy_ev"], 1).tolist(),
        "pattern": events["pattern"].tolist(),
        "p": [None if np.isnan(p) else round(float(p), 4) for p in events["p_particle"]],
        "kind": ["kept" if not r else "screened" if r & screened else "cut" for r in reasons],
        "why": [", ".join(name for bit, name in NAMES.items() if r & bit) or "kept" for r in reasons],
    }


def _tracks(tracks: Any, start: Start) -> dict[str, list[Any]]:
    ends = np.round(segments(tracks, _origins(start)), 2)
    columns = {name: ends[:, k].tolist() for k, name in enumerate(("x0", "y0", "x1", "y1"))}
    return columns | {"kev": np.round(tracks["energy_ev"] * 1e-3, 2).tolist(), "pixels": tracks["pixels"].tolist()}


def frames_of(product: Product) -> dict[int, NDArray[np.int16]]:
    """Return the signal of each quadrant of a product "pixels", (rows, columns) eV."""
    pixels, found = product.tables["PIXELS"]["EV"], {}
    for row in product.tables["QUADRANTS"]:
        shape = int(row["ROWS"]), int(row["COLUMNS"])
        found[int(row["ID"])] = pixels[row["FIRST"] : row["FIRST"] + shape[0] * shape[1]].reshape(shape)
    return found
