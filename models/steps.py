"""One step of a training, and what it is shown."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer

SMOOTH = 0.98  # of the loss that is told, from one step to the next


def take_step(optimiser: Optimizer, loss: torch.Tensor, rate: float, told: float) -> float:
    """Go one step down a loss at a rate; return the smoothed loss, of `told` before (NaN: this is the first)."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    value = float(loss.detach())
    return value if np.isnan(told) else SMOOTH * told + (1 - SMOOTH) * value


def turned(image: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """Return images (..., h, w) turned by a number of right angles (turn % 4), mirrored if turn >= 4."""
    mirrored = image[..., ::-1] if turn >= 4 else image
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4, axes=(-2, -1)))
