"""Sets of patches to train and judge the localisation network on: several simulated skies, some patches of each.

Two sets of other seeds share no sky: no source, no structure of the background (splits are by sky, not by patch).
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from sim.lat.patches import Truth, draw_patch
from sim.lat.photons import Scatter
from stream.lat.exposure import Exposure, survey
from stream.lat.inputs import NAMES, SHAPES, inputs_of
from stream.lat.patch import LAT, SIDE_DEG, to_patch
from stream.lat.psf import Profiles, profiles_of
from stream.lat.scene import UNIT, Scene, scene_of
from stream.lat.sky import Diffuse, Expected, expect
from stream.lat.smear import smearing
from stream.transport.hdf5 import filters
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import instrument_of

KIND: Final = "lat patches"
RADIUS_DEG: Final = 0.25  # of a source's region in the mask: half of what tells two apart
SEEN: Final = 12.0  # expected TS from which a source is in the mask
PLANE_SHARE: Final = 0.4  # of the patches within PLANE_DEG of the plane: there it is hardest
PLANE_DEG: Final = 15.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the skies of a set are made with."""

    irfs: str = ""
    iem: str = ""
    iso: str = ""
    years: float = 10.0
    per_sky: int = 25


@dataclass(frozen=True, slots=True, eq=False)
class Tools:
    """What the patches of all skies share."""

    model: Diffuse
    exposure: Exposure
    smear: NDArray[np.float64]  # of the model, by the PSF
    expected: Expected
    profiles: Profiles
    scatter: Scatter


@cache
def tools_of(setting: Setting) -> Tools:
    """Return the tools of a setting. Raises ConfigError for files that cannot be used."""
    instrument = instrument_of(setting.irfs)
    exposure = survey(instrument, setting.years)
    model = read_diffuse(*(Path(name) if name else None for name in (setting.iem, setting.iso)))
    profiles = profiles_of(instrument, LAT.blur_deg)
    smear = smearing(model, profiles)
    return Tools(model, exposure, smear, expect(model, exposure, smear), profiles, Scatter(instrument))


def make_sky(setting: Setting, seed: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return inputs (float16), masks (uint8) and places of the patches of one sky."""
    tools, rng = tools_of(setting), np.random.default_rng(seed)
    truth = Truth.drawn(tools.model, tools.exposure, rng, smear=tools.smear)
    rows: dict[str, list[Any]] = {name: [] for name in (*NAMES, "mask", "place")}
    for _ in range(setting.per_sky):
        place = draw_place(rng)
        patch, near = draw_patch(truth, tools.scatter, *place, rng)
        scene = scene_of(patch, tools.expected.on(patch), tools.exposure, tools.profiles)
        scene.fit_background()
        given = inputs_of(scene)
        for name, image in zip(NAMES, given, strict=True):
            rows[name].append(image.astype(np.float16))
        rows["mask"].append(mask_of(scene, truth.sources[near], given[2][-1]))
        rows["place"].append(place)
    return {name: np.stack(values) for name, values in rows.items()}


def draw_place(rng: np.random.Generator) -> tuple[float, float]:
    """Return longitude and latitude of a patch, degrees; more of them near the plane."""
    most = np.sin(np.radians(PLANE_DEG)) if rng.random() < PLANE_SHARE else 1.0
    return rng.uniform(0, 360), float(np.degrees(np.arcsin(rng.uniform(-most, most))))


def mask_of(scene: Scene, sources: NDArray[Any], sensitivity: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 1 in the finest pixels near a source that can be seen there, (rows, columns).

    sensitivity: ln of UNIT over the flux of one sigma, as the network's last input.
    """
    side = sensitivity.shape[0]
    pixel = SIDE_DEG / side
    x, y = to_patch(scene.patch.glon_deg, scene.patch.glat_deg, sources["glon_deg"], sources["glat_deg"])
    mask = np.zeros((side, side), np.uint8)
    at = (np.arange(side) + 0.5) * pixel
    for a, b, flux in zip(x, y, sources["flux"], strict=True):
        if not (0 <= a < SIDE_DEG and 0 <= b < SIDE_DEG):
            continue
        sigma = flux / UNIT * np.exp(sensitivity[int(b / pixel), int(a / pixel)])
        if sigma**2 >= SEEN:
            mask[np.hypot(at[None, :] - a, at[:, None] - b) <= RADIUS_DEG] = 1
    return mask


def make_set(setting: Setting, skies: int, seed: int, processes: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the patches of each sky, in the order of their numbers, whatever the number of processes."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make_sky, [setting] * skies, [(seed, k) for k in range(skies)])


def write_set(path: Path, setting: Setting, skies: int, seed: int, processes: int) -> Iterator[int]:
    """Write a set; yield how many skies are done. The file has its name only when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    with h5py.File(partial, "w") as file:
        file.attrs["kind"] = KIND
        file.attrs["about"] = str({**asdict(setting), "skies": skies, "seed": seed})
        number = skies * setting.per_sky
        shapes = {**dict(zip(NAMES, SHAPES, strict=True)), "mask": SHAPES[2][1:], "place": (2,)}
        kinds = {"mask": np.uint8, "place": np.float64}
        for name, shape in shapes.items():
            kind = kinds.get(name, np.float16)
            file.create_dataset(name, (number, *shape), kind, chunks=(1, *shape), **filters())
        for k, rows in enumerate(make_set(setting, skies, seed, processes)):
            for name, values in rows.items():
                file[name][k * setting.per_sky : (k + 1) * setting.per_sky] = values
            yield k + 1
    partial.replace(path)
