"""What `Sky` holds as plain arrays, and back: to go on with it after a process has died."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.lat.cube import NSIDES, Block, Sky
from stream.lat.photons import POINTING

Arrays = Mapping[str, NDArray[Any]]


def pack(sky: Sky) -> dict[str, NDArray[Any]]:
    """Return the arrays of a sky by name; those of its maps are its own."""
    sky.settle()
    arrays: dict[str, NDArray[Any]] = {f"counts_{nside}": grid for nside, grid in zip(NSIDES, sky.maps, strict=True)}
    arrays |= {f"year_{year}": maps for year, maps in sky.years.items()}
    arrays["years_s"] = np.array(list(sky.years_s.items()), float).reshape(-1, 2)
    arrays |= {"totals": sky.totals, "livetime": sky.live.zones, "gti": sky.gti, "covered": sky.covered}
    arrays["live_s"], arrays["unpointed_s"] = np.array([sky.live.live_s]), np.array([sky.unpointed_s])
    blocks = sky.blocks.items()
    arrays["block"] = np.array([(n, b.photons, b.unpointed_s, sum(map(len, b.pointing))) for n, b in blocks])
    arrays["block"] = arrays["block"].reshape(-1, 4).astype(float)
    arrays["channel"] = np.concatenate([np.empty(0, np.int8), *(part for _, b in blocks for part in b.channel)])
    arrays["pixel"] = np.concatenate([np.empty(0, np.uint32), *(part for _, b in blocks for part in b.pixel)])
    arrays["pointing"] = np.concatenate([np.empty(0, POINTING), *(part for _, b in blocks for part in b.pointing)])
    return arrays


def unpack(arrays: Arrays) -> Sky:
    """Return the sky of these arrays. Raises KeyError or ValueError for others."""
    sky = Sky()
    for nside, grid in zip(NSIDES, sky.maps, strict=True):
        grid[:] = arrays[f"counts_{nside}"]
    sky.years = {int(name[5:]): maps for name, maps in arrays.items() if name.startswith("year_")}
    sky.years_s = {int(year): float(good_s) for year, good_s in arrays["years_s"]}
    sky.totals[:] = arrays["totals"]
    sky.live.zones[:] = arrays["livetime"]
    sky.live.live_s, sky.unpointed_s = float(arrays["live_s"][0]), float(arrays["unpointed_s"][0])
    sky.gti, sky.covered = arrays["gti"], arrays["covered"]
    a = c = 0  # in photons, in pointing
    for number, photons, unpointed_s, rows in arrays["block"]:
        b, d = a + int(photons), c + int(rows)
        channel, pixel, pointing = arrays["channel"][a:b], arrays["pixel"][a:b], arrays["pointing"][c:d]
        sky.blocks[int(number)] = Block([channel], [pixel], [pointing], float(unpointed_s), b - a)
        a, c = b, d
    return sky
