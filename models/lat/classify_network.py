"""The network of classes: 3-D convolutions over years and sky of a cut-out, energy bands as channels (seed 004)."""

import torch
from torch import Tensor, nn

from sim.lat.cutouts import KINDS

FILTERS = (16, 24, 32)
DROPOUT = 0.3


class CutoutNet(nn.Module):
    """(n, channels, 10 years, 6, 6) -> logits (n, 5); about 40,000 weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        one, two, three = FILTERS
        self.layers = nn.Sequential(
            nn.Conv3d(channels, one, 3, padding=1, bias=False), nn.BatchNorm3d(one), nn.ReLU(),
            nn.MaxPool3d((2, 1, 1)),
            nn.Conv3d(one, two, 3, padding=1, bias=False), nn.BatchNorm3d(two), nn.ReLU(),
            nn.MaxPool3d((1, 2, 2)),
            nn.Conv3d(two, three, 3, padding=1, bias=False), nn.BatchNorm3d(three), nn.ReLU(),
        )  # fmt: skip
        self.end = nn.Sequential(nn.Linear(2 * three, 48), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(48, len(KINDS)))
        self.register_buffer("scale", torch.ones(()))  # of the logits, and what is added: calibration
        self.register_buffer("shift", torch.zeros(len(KINDS)))

    def forward(self, cutout: Tensor) -> Tensor:
        """Return calibrated logits."""
        x = self.layers(cutout)
        x = torch.cat([x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))], dim=1)
        return self.scale * self.end(x) + self.shift
