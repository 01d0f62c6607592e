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
from stream.lat.masks import RADIUS_DEG
from stream.lat.patch import LAT, SIDE_DEG, to_patch
from stream.lat.psf import Profiles, profiles_of
from stream.lat.scene import UNIT, Scene, scene_of
from stream.lat.search import filter_map
from stream.lat.sky import Diffuse, Expected, expect
from stream.lat.smear import smearing
from stream.transport.fitsfile import disk_faults
from stream.transport.hdf5 import filters
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import instrument_of

KIND: Final = "lat patches"
SEEN: Final = 12.0  # square of `sigma` from which a source is in the mask: what the counts could tell
SOURCE: Final = np.dtype(  # one that a patch has, seen or not
    [
        ("patch", "<i4"),  # its row
        ("x_deg", "<f4"),  # from the patch's corner
        ("y_deg", "<f4"),
        ("flux", "<f4"),  # photons cm-2 s-1, 1 to 100 GeV
        ("sigma", "<f4"),  # at which the filter would see it on a background that is known
    ]
)
FAINTEST: Final = 2.5e-11  # photons cm-2 s-1: fainter sources are not listed
PLANE_SHARE: Final = 0.4  # of the patches within PLANE_DEG of the plane: there it is hardest
PLANE_DEG: Final = 15.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the skies of a set are made with."""

    irfs: str = ""
    iem: str = ""
    iso: str = ""
    years: tuple[float, float] = (1.0, 12.0)  # each sky has its own, even in ln: a growing stream is all of them
    per_sky: int = 25


@dataclass(frozen=True, slots=True, eq=False)
class Tools:
    """What the patches of all skies share."""

    model: Diffuse
    exposure: Exposure  # of one year
    smear: NDArray[np.float64]  # of the model, by the PSF
    expected: Expected  # in one year
    profiles: Profiles
    scatter: Scatter

    def after(self, years: float) -> tuple[Exposure, Expected]:
        """Return exposure and diffuse light of so many years."""
        exposure = Exposure(self.exposure.cm2_s * years, self.exposure.live_s * years, self.exposure.about)
        return exposure, Expected(self.expected.iem * years, self.expected.iso * years)


@cache
def tools_of(setting: Setting) -> Tools:
    """Return the tools of a setting. Raises ConfigError for files that cannot be used."""
    instrument = instrument_of(setting.irfs)
    exposure = survey(instrument, 1.0)
    model = read_diffuse(*(Path(name) if name else None for name in (setting.iem, setting.iso)))
    profiles = profiles_of(instrument, LAT.blur_deg)
    smear = smearing(model, profiles)
    return Tools(model, exposure, smear, expect(model, exposure, smear), profiles, Scatter(instrument))


def make_sky(setting: Setting, seed: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return inputs (float16), masks (uint8), places and SOURCE rows of the patches of one sky."""
    tools, rng = tools_of(setting), np.random.default_rng(seed)
    exposure, expected = tools.after(float(np.exp(rng.uniform(*np.log(setting.years)))))
    truth = Truth.drawn(tools.model, exposure, rng, smear=tools.smear)
    rows: dict[str, list[Any]] = {name: [] for name in (*NAMES, "mask", "place")}
    listed = [np.zeros(0, SOURCE)]
    for number in range(setting.per_sky):
        place = draw_place(rng)
        patch, near = draw_patch(truth, tools.scatter, *place, rng)
        scene = scene_of(patch, expected.on(patch), exposure, tools.profiles)
        scene.fit_background()
        given = inputs_of(scene)
        for name, image in zip(NAMES, given, strict=True):
            rows[name].append(image.astype(np.float16))
        sources = sources_of(scene, truth.sources[near], filter_map(scene, doubted=False)[2], number)
        rows["mask"].append(mask_of(sources, given[2].shape[-1]))
        rows["place"].append(place)
        listed.append(sources)
    return {name: np.stack(values) for name, values in rows.items()} | {"sources": np.concatenate(listed)}


def draw_place(rng: np.random.Generator) -> tuple[float, float]:
    """Return longitude and latitude of a patch, degrees; more of them near the plane."""
    most = np.sin(np.radians(PLANE_DEG)) if rng.random() < PLANE_SHARE else 1.0
    return rng.uniform(0, 360), float(np.degrees(np.arcsin(rng.uniform(-most, most))))


def sources_of(scene: Scene, sources: NDArray[Any], one_sigma: NDArray[Any], patch: int) -> NDArray[Any]:
    """Return SOURCE rows of what is on a patch. one_sigma: flux of one sigma in the finest pixels, UNIT."""
    pixel = SIDE_DEG / len(one_sigma)
    x, y = to_patch(scene.patch.glon_deg, scene.patch.glat_deg, sources["glon_deg"], sources["glat_deg"])
    with np.errstate(invalid="ignore"):
        on = (x >= 0) & (x < SIDE_DEG) & (y >= 0) & (y < SIDE_DEG) & (sources["flux"] >= FAINTEST)
    out = np.zeros(int(on.sum()), SOURCE)
    out["patch"], out["x_deg"], out["y_deg"], out["flux"] = patch, x[on], y[on], sources["flux"][on]
    at = (y[on] / pixel).astype(int), (x[on] / pixel).astype(int)
    out["sigma"] = out["flux"] / UNIT / one_sigma[at]
    return out


def mask_of(sources: NDArray[Any], side: int) -> NDArray[np.uint8]:
    """Return 1 in the pixels near a source that can be seen, (side, side); sources: SOURCE rows of one patch."""
    mask, at = np.zeros((side, side), np.uint8), (np.arange(side) + 0.5) * SIDE_DEG / side
    for one in sources[sources["sigma"] ** 2 >= SEEN]:
        mask[np.hypot(at[None, :] - one["x_deg"], at[:, None] - one["y_deg"]) <= RADIUS_DEG] = 1
    return mask


def make_set(setting: Setting, skies: int, seed: int, processes: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the patches of each sky, in the order of their numbers, whatever the number of processes."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make_sky, [setting] * skies, [(seed, k) for k in range(skies)])


def told_of(setting: Setting) -> dict[str, object]:
    """Return what a setting is, its files by what they hold: where they lay is of no use elsewhere."""
    own = {key: value for key, value in asdict(setting).items() if key not in ("irfs", "iem", "iso")}
    model = read_diffuse(*(Path(name) if name else None for name in (setting.iem, setting.iso)))
    return {"responses": instrument_of(setting.irfs).about, "diffuse": model.about, **own}


def write_set(path: Path, setting: Setting, skies: int, seed: int, processes: int) -> Iterator[int]:
    """Write a set; yield how many skies are done. The file has its name only when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    with disk_faults(path), h5py.File(partial, "w") as file:
        file.attrs["kind"] = KIND
        file.attrs["about"] = str({**told_of(setting), "skies": skies, "seed": seed})
        number = skies * setting.per_sky
        shapes = {**dict(zip(NAMES, SHAPES, strict=True)), "mask": SHAPES[2][1:], "place": (2,)}
        kinds = {"mask": np.uint8, "place": np.float64}
        for name, shape in shapes.items():
            kind = kinds.get(name, np.float16)
            file.create_dataset(name, (number, *shape), kind, chunks=(1, *shape), **filters())
        table = file.create_dataset("sources", (0,), SOURCE, maxshape=(None,), chunks=(4096,), **filters())
        for k, rows in enumerate(make_set(setting, skies, seed, processes)):
            sources = rows.pop("sources")
            sources["patch"] += k * setting.per_sky
            table.resize(len(table) + len(sources), axis=0)
            table[len(table) - len(sources) :] = sources
            for name, values in rows.items():
                file[name][k * setting.per_sky : (k + 1) * setting.per_sky] = values
            yield k + 1
    partial.replace(path)
