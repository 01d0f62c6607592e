"""Class activation maps of the newest frame, for who asks to see them: the network of windows, run in the view."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from stream.infer import ON_CPU, open_model
from stream.kernels.windows import place_windows
from stream.messages import WINDOW_SIDE

SHIPPED: Final = "frames"  # the network of windows, where the daemon itself screens otherwise or not
MOST: Final = 16  # windows of a read-out
MARGIN: Final = 8
PARTICLE: Final = 2  # of the classes empty, xray, particle, mixed


class Cams:
    """Runs the network on the windows that hold candidates."""

    def __init__(self, config: Config) -> None:
        """Raises ModelError for a network that cannot be used."""
        screen = config.screen
        self.own = screen.look == "windows" and bool(screen.model)  # the daemon decides by these very maps
        self._model = open_model(screen.model if self.own else SHIPPED, "cpu")
        self._band = screen.energy_min_ev, screen.energy_max_ev
        self._model.card.require("input.energy_ev.shape", ["n", 1, WINDOW_SIDE, WINDOW_SIDE])

    @property
    def name(self) -> str:
        """The network, with its digest."""
        return str(self._model)

    def look(self, frames: dict[int, NDArray[np.int16]], events: NDArray[Any]) -> list[dict[str, Any]]:
        """Return for each window its quadrant, place, p of the four classes and map of the class particle, (h, h)."""
        corners = []
        for quadrant, pixels in frames.items():
            energy = events["energy_ev"]
            mine = events[(events["quadrant"] == quadrant) & (energy >= self._band[0]) & (energy < self._band[1])]
            places = np.empty((MOST, 2), np.int16)
            at = mine["x"].astype(np.int64), mine["y"].astype(np.int64)
            number = place_windows(*at, pixels.shape, WINDOW_SIDE, MARGIN, places)
            corners += [(quadrant, int(left), int(bottom)) for left, bottom in places[:number]]
        corners = corners[:MOST]
        if not corners:
            return []
        windows = np.zeros((len(corners), 1, WINDOW_SIDE, WINDOW_SIDE), np.float32)
        for window, (quadrant, left, bottom) in zip(windows, corners, strict=True):
            cut = frames[quadrant][bottom : bottom + WINDOW_SIDE, left : left + WINDOW_SIDE]
            window[0, : cut.shape[0], : cut.shape[1]] = cut
        parts = [self._model.run(energy_ev=windows[k : k + ON_CPU]) for k in range(0, len(windows), ON_CPU)]
        logits, maps = (np.concatenate([part[name] for part in parts]) for name in ("logits", "maps"))
        above = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = above / above.sum(axis=1, keepdims=True)
        return [
            {"quadrant": q, "left": left, "bottom": bottom, "p": np.round(p[k], 3).tolist()}
            | {"map": np.round(maps[k, PARTICLE], 3).tolist()}
            for k, (q, left, bottom) in enumerate(corners)
        ]
