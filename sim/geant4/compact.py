"""From what Geant4 gave to the rows of a hit library."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.geant4.aim import Primaries, on_sphere
from sim.geant4.geometry import Geometry
from sim.hit_library import PRIMARY, SEGMENT, STEP, UNIT_UM
from sim.kernels_hits import merge_steps

MERGE_UM = 2.0  # steps that stay so near together become one: far below the width of a charge cloud
Tables = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


class Names:
    """Numbers for names, as they come up; 0..254, then 255 for all the rest."""

    def __init__(self, known: Sequence[str] = ()) -> None:
        self.names = list(known)

    def number(self, names: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the number of each name, (n,) uint8."""
        unique, inverse = np.unique(names, return_inverse=True)
        for name in unique.tolist():
            if name not in self.names and len(self.names) < 255:
                self.names.append(name)
        numbers = [self.names.index(name) if name in self.names else 255 for name in unique.tolist()]
        return np.array(numbers, np.uint8)[inverse]


def compact(
    raw: dict[str, NDArray[Any]], primaries: Primaries, geometry: Geometry, first_number: int, names: dict[str, Names]
) -> Tables:
    """Return PRIMARY, SEGMENT and STEP rows of one batch (`first_...` count from 0); raw: see `to_arrays`.

    Primaries without signal have no row. Empty tables for no signal at all.
    """
    begin = _local_um(np.column_stack([raw["x"], raw["y"], raw["z"]]), raw["wafer"], geometry)
    order = np.argsort(raw["step_segment"], kind="stable")
    owner = raw["step_segment"][order]
    end = _local_um(raw["step_end"][order], raw["wafer"][owner], geometry)
    owner, end, energy = merge_steps(owner, begin, end, raw["step_mev"][order] * 1e6, MERGE_UM**2)
    whole_ev = np.rint(energy).astype(np.int64)
    owner, end, whole_ev = owner[whole_ev > 0], end[whole_ev > 0], whole_ev[whole_ev > 0]
    used, first_step = np.unique(owner, return_index=True)
    begin_units, end_units = (np.rint(place / UNIT_UM).astype(np.int64) for place in (begin[used], end))
    segments = _segments(raw, used, geometry, names)
    segments["x"], segments["y"], segments["z"] = begin_units.T
    segments["steps"] = np.diff(np.append(first_step, owner.size))
    before = np.roll(end_units, 1, axis=0)
    before[first_step] = begin_units
    steps = np.zeros(whole_ev.size, STEP)
    steps["dx"], steps["dy"], steps["dz"] = (end_units - before).T
    steps["energy_ev"] = whole_ev
    hit, first_segment = np.unique(raw["primary"][used], return_index=True)
    rows = np.zeros(hit.size, PRIMARY)
    rows["number"], rows["first_segment"] = first_number + hit, first_segment
    rows["energy_gev"], rows["direction"] = primaries.energy_gev[hit], primaries.direction[hit]
    rows["sphere_mm"] = on_sphere(primaries, geometry.sphere_radius_mm)[hit]
    if hit.size:
        rows["first_step"] = first_step[first_segment]
        rows["deposit_kev"] = np.add.reduceat(whole_ev, first_step[first_segment]) * 1e-3
    return rows, segments, steps


def _segments(
    raw: dict[str, NDArray[Any]], used: NDArray[np.int64], geometry: Geometry, names: dict[str, Names]
) -> NDArray[Any]:
    rows = np.zeros(used.size, SEGMENT)
    rows["quadrant"] = np.array([q.id for q in geometry.wafers.quadrants], np.uint8)[raw["wafer"][used]]
    for name in ("particle", "parent", "entering"):
        rows[name] = raw[name][used]
    rows["creator"] = names["processes"].number(raw["creator"][used])
    rows["origin"] = names["volumes"].number(raw["origin"][used])
    rows["entry_kev"] = raw["entry_mev"][used] * 1e3
    return rows


def _local_um(place_mm: NDArray[np.float64], wafer: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.float64]:
    """Return places from the corner of pixel (0, 0) and from the entrance side, (n, 3) float64 um."""
    corners = np.array([geometry.corner_mm(q) for q in geometry.wafers.quadrants])[wafer]
    top = geometry.wafers.z_mm + geometry.wafers.thickness_um * 0.5e-3
    local = np.column_stack([place_mm[:, 0] - corners[:, 0], place_mm[:, 1] - corners[:, 1], top - place_mm[:, 2]])
    return local * 1e3
