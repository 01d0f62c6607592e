"""The network: a small DenseNet whose last layer says where each class was seen.

Poliszczuk et al. 2024 (arXiv:2407.16768), section 3.2: one initial convolutional block, two dense blocks of five
layers, growth 12, 64 initial filters, dropout 0.2, final resolution 16 x 16 of 64 x 64; after Huang et al. 2017
(DenseNet) and Zhou et al. 2016 (class activation maps).
"""

import torch
from torch import Tensor, nn

CLASSES = ("empty", "xray", "particle", "mixed")
KINDS = ("xray", "particle")  # of charge
SIDE, CELLS = 64, 16  # along each side: pixels of a frame, cells of an activation map
CELL = SIDE // CELLS  # pixels
FIRST, GROWTH, LAYERS, DROPOUT = 64, 12, 5, 0.2
NOISE_EV = 25.55  # 7 electrons of 3.65 eV: where the logarithm begins to be one


class DenseLayer(nn.Module):
    """Batch normalisation, ReLU, 3 x 3 convolution, dropout; its result is put beside its input."""

    def __init__(self, channels: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.convolve = nn.Conv2d(channels, growth, 3, padding=1, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, channels + growth, h, w)."""
        return torch.cat([x, self.drop(self.convolve(torch.relu(self.norm(x))))], dim=1)


class FrameNet(nn.Module):
    """Energies of a frame -> logits of the four classes and their activation maps.

    `mean` and `deviation` are those of the scaled logarithm over the training pixels; they belong to the weights, so
    that a network takes energies wherever it runs.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, first: int = FIRST, growth: int = GROWTH, layers: int = LAYERS, dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.steady = False  # whether the statistics of the batch normalisation stay as they are
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.begin = nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False)  # 64 -> 32
        wide = [first + k * growth for k in range(layers)]
        self.first_block = nn.Sequential(*(DenseLayer(channels, growth, dropout) for channels in wide))
        middle = first + layers * growth
        halved = middle // 2
        self.transition = nn.Sequential(
            nn.BatchNorm2d(middle), nn.ReLU(), nn.Conv2d(middle, halved, 1, bias=False), nn.AvgPool2d(2)  # 32 -> 16
        )  # fmt: skip
        wide = [halved + k * growth for k in range(layers)]
        self.second_block = nn.Sequential(*(DenseLayer(channels, growth, dropout) for channels in wide))
        last = halved + layers * growth
        self.end = nn.Sequential(nn.BatchNorm2d(last), nn.ReLU())
        self.classify = nn.Conv2d(last, len(CLASSES), 1)  # the class weights, at every place: its mean is the logit
        self.find = nn.Conv2d(last, len(KINDS), 1)  # whose charge is in a cell: asked for in training only

    def features(self, energy_ev: Tensor) -> Tensor:
        """Return what the dense blocks make of energies (n, 1, h, w), eV: (n, channels, h / CELL, w / CELL)."""
        x = self.begin((scaled(energy_ev) - self.mean) / self.deviation)
        seen: Tensor = self.end(self.second_block(self.transition(self.first_block(x))))
        return seen

    def forward(self, energy_ev: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, 4) and class activation maps (n, 4, 16, 16) of energies (n, 1, 64, 64), eV.

        Eq. (1) of the seed: the mean over a map is the logit of its class (the bias is spread over the map). Windows of
        another side, a multiple of CELL, give maps of another side.
        """
        maps = self.classify(self.features(energy_ev))
        return maps.mean(dim=(2, 3)), maps

    def enlarge(self, times: float, empty_ev: Tensor) -> None:
        """Make a network for windows of `times` the area, with the same logits for the same signal.

        empty_ev: empty windows (n, 1, h, w), eV. A signal's share of the mean over the maps is `times` smaller in the
        larger window, so that maps are stretched by as much about what they are where nothing is.
        """
        assert self.classify.bias is not None
        with torch.no_grad():
            quiet = self(empty_ev)[0].mean(dim=0)
            self.classify.weight *= times
            self.classify.bias.copy_(times * self.classify.bias - (times - 1) * quiet)
        self.steady = True

    def train(self, mode: bool = True) -> "FrameNet":
        """Switch between training and use; an enlarged network keeps the statistics of its smaller windows.

        Signals filled more of these, and what the layers made of them is part of what was learnt.
        """
        super().train(mode)
        for norm in self.modules():
            if self.steady and isinstance(norm, nn.BatchNorm2d):
                norm.eval()
        return self


def scaled(energy_ev: Tensor) -> Tensor:
    """Return the logarithm of energies (eV), linear within the noise, 0 for what is below 0; same shape."""
    return torch.log1p(energy_ev.clamp_min(0) / NOISE_EV)
