"""Hit libraries of known content, for tests: straight ways of protons, electrons beside them, points of photons."""

from pathlib import Path

import numpy as np

from sim.hit_library import PRIMARY, SEGMENT, STEP, LibraryWriter, Production

SIDE_UM = 512 * 130


def described(**changes):
    facts = {
        "geometry": "made up",
        "geometry_toml": "",
        "geometry_digest": "0",
        "physics": "none",
        "phi_gv": 0.38,
        "seed": 0,
        "batch": 100,
        "aimed": 1000,
        "sphere_primaries": 1e5,
        "protons_per_s": 1e4,
        "area_cm2": 177.2,
        "rows": 512,
        "columns": 512,
        "pixel_um": 130.0,
        "thickness_um": 450.0,
        "quadrants": (0, 1, 2, 3),
        "processes": ("primary", "hIoni"),
        "volumes": ("world",),
    }
    return Production(**facts | changes)


def drawn(n, seed=0):
    """Return PRIMARY, SEGMENT and STEP rows of n primaries; each has 1 to 4 segments in 1 to 3 quadrants."""
    rng = np.random.default_rng(seed)
    primaries = np.zeros(n, PRIMARY)
    counts = rng.integers(1, 5, n)
    segments = np.zeros(counts.sum(), SEGMENT)
    owner = np.repeat(np.arange(n), counts)
    segments["quadrant"] = rng.integers(0, 3, segments.size)
    for axis, size in zip("xyz", (SIDE_UM, SIDE_UM, 450), strict=True):
        segments[axis] = rng.integers(0, size + 1, segments.size)
    segments["steps"] = rng.integers(1, 6, segments.size)
    segments["particle"] = rng.choice([2212, 11, 22], segments.size)
    steps = np.zeros(segments["steps"].sum(), STEP)
    of = np.repeat(np.arange(segments.size), segments["steps"])
    place = {axis: segments[axis].astype(np.int64)[of] for axis in "xyz"}
    for i in range(steps.size):  # each goes on from the last one, and stays inside
        for axis, size in zip("xyz", (SIDE_UM, SIDE_UM, 450), strict=True):
            before = place[axis][i]
            after = (
                int(np.clip(before + rng.integers(-300, 301), 0, size)) if segments["particle"][of[i]] != 22 else before
            )
            steps[f"d{axis}"][i] = after - before
            if i + 1 < steps.size and of[i + 1] == of[i]:
                place[axis][i + 1] = after
    steps["energy_ev"] = rng.integers(200, 60_000, steps.size)
    primaries["number"] = np.sort(rng.choice(10 * n, n, replace=False))
    primaries["energy_gev"] = rng.exponential(1, n)
    primaries["first_segment"] = np.searchsorted(owner, np.arange(n))
    first = np.cumsum(segments["steps"]) - segments["steps"]
    primaries["first_step"] = first[primaries["first_segment"]]
    primaries["deposit_kev"] = np.bincount(owner[of], steps["energy_ev"], n) * 1e-3
    return primaries, segments, steps


def write(path: Path, *batches, **changes):
    """Write batches of rows into a library; return its path."""
    with LibraryWriter(path, described(**changes)) as writer:
        for batch in batches:
            writer.write(*batch)
    return path
