"""What the localisation network sees of a scene: counts against what is expected, one input per resolution.

Never scaled by the patch's own maximum: a bright source would take the faint ones' scale away, and a growing stream its
counts. A pixel is (n - m) / sqrt(m + 1), compressed by asinh, m the fitted background; beside it ln of the background,
and on the finest grid the matched filter's significance and the flux that it can see, so that the network begins where
the filter ends.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.lat.scene import Scene
from stream.lat.search import filter_map

Images = NDArray[np.float32]
SHAPES: Final = ((5, 40, 40), (3, 80, 80), (6, 160, 160))  # channels, rows, columns of each input
NAMES: Final = ("coarse", "middle", "fine")
LIMIT: Final = 5.0  # sigma from which the filter's significance is compressed
REFERENCE: Final = 1.0  # UNIT of flux: sensitivity is ln of it over one sigma


def inputs_of(scene: Scene) -> tuple[Images, Images, Images]:
    """Return the inputs of the network, float32, as SHAPES says, of a scene whose background has been fitted.

    coarse: 0.3-1 GeV, front and back by band; middle: 1-2 GeV; fine: 2-1000 GeV by band, both types together, the
    filter's significance and sensitivity. The last of each of the first two is ln of the background.
    """
    out: list[Images] = []
    for _, _, channels in scene.plan.grids[:2]:
        images = [_excess(scene, (c,)) for c in channels]
        out.append(np.stack([*images, _level(scene, channels)]).astype(np.float32))
    _, _, fine = scene.plan.grids[2]
    pairs = [fine[i : i + 2] for i in range(0, len(fine), 2)]
    ts, _, seen = filter_map(scene)
    significance = np.arcsinh(np.sqrt(ts) / LIMIT)
    images = [*(_excess(scene, pair) for pair in pairs), _level(scene, fine), significance, np.log(REFERENCE / seen)]
    out.append(np.stack(images).astype(np.float32))
    return out[0], out[1], out[2]


def _sums(scene: Scene, channels: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = sum(scene.plan.image(scene.patch.counts, c) for c in channels)
    m = sum(scene.plan.image(scene.background, c) for c in channels)
    return np.asarray(n), np.asarray(m)


def _excess(scene: Scene, channels: tuple[int, ...]) -> NDArray[np.float64]:
    n, m = _sums(scene, channels)
    return np.arcsinh((n - m) / np.sqrt(m + 1))


def _level(scene: Scene, channels: tuple[int, ...]) -> NDArray[np.float64]:
    _, m = _sums(scene, channels)
    return np.log(m + 1e-3) / 5
