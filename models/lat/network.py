"""The localisation network: a U-Net with an input at each resolution, a mask of source regions at the finest.

After UNEK (seed 004: five inputs, 2.4 M parameters) with a twelfth of the channels, so that two CPU cores train it; the
full size is the same code with `first` = 32.
"""

import torch
from torch import Tensor, nn

from stream.lat.inputs import SHAPES

FIRST = 8  # filters on the finest grid; twice as many on each coarser one
DROPOUT = 0.1


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation and ReLU."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, filters, h, w)."""
        return self.layers(x)


class LocaliseNet(nn.Module):
    """Inputs of `stream.lat.inputs` -> logit of each pixel of the finest grid that a source is in it, (n, 160, 160)."""

    def __init__(self, first: int = FIRST) -> None:
        super().__init__()
        coarse, middle, fine = (shape[0] for shape in SHAPES)
        f = first
        self.down1, self.down2 = Block(fine, f), Block(f + middle, 2 * f)
        self.down3, self.bottom = Block(2 * f + coarse, 4 * f), Block(4 * f, 6 * f)
        self.up3, self.up2, self.up1 = Block(10 * f, 4 * f), Block(6 * f, 2 * f), Block(3 * f, f)
        self.last = nn.Conv2d(f, 1, 1)
        self.halve, self.drop = nn.MaxPool2d(2), nn.Dropout2d(DROPOUT)
        self.widen = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        """(n, 5, 40, 40), (n, 3, 80, 80), (n, 6, 160, 160) -> (n, 160, 160)."""
        one = self.down1(fine)
        two = self.down2(torch.cat([self.halve(one), middle], dim=1))
        three = self.down3(torch.cat([self.halve(two), coarse], dim=1))
        x = self.drop(self.bottom(self.halve(three)))
        x = self.up3(torch.cat([self.widen(x), three], dim=1))
        x = self.up2(torch.cat([self.widen(x), two], dim=1))
        x = self.up1(torch.cat([self.widen(x), one], dim=1))
        return self.last(x)[:, 0]
