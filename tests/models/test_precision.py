"""What is trained in 16 bits says the same as in 32, and its slopes: torch has had kernels that do not."""

import copy

import numpy as np
import pytest
import torch

from models.frames.network import FrameNet
from models.lat.classify_network import CutoutNet
from models.lat.network import LocaliseNet
from stream.lat.inputs import SHAPES


def frames():
    rng = np.random.default_rng(1)
    energy = rng.exponential(300, (32, 1, 64, 64)) * (rng.random((32, 1, 64, 64)) < 0.02)
    return FrameNet(), (torch.from_numpy(energy.astype(np.float32)),)


def localise():
    parts = [torch.from_numpy(np.random.default_rng(2).random((2, *shape), np.float32)) for shape in SHAPES]
    parts = [part.to(memory_format=torch.channels_last) for part in parts]
    return LocaliseNet().to(memory_format=torch.channels_last), tuple(parts)


def cutouts():
    given = torch.from_numpy(np.random.default_rng(3).random((32, 10, 10, 6, 6), np.float32))
    network = CutoutNet(10).to(memory_format=torch.channels_last_3d)
    return network, (given.to(memory_format=torch.channels_last_3d),)


def run(network, given, bits):
    """Return what each layer gives, and the slope of each weight, of the sum of squares of what comes out."""
    seen = {}

    def keep(name):
        return lambda _, __, out: seen.update({name: out.detach().float()})

    hooks = [
        layer.register_forward_hook(keep(name))
        for name, layer in network.named_modules()
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear))
    ]
    network.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bits == 16):  # also where training would not use it
        out = network(*given)
    first = out[0] if isinstance(out, tuple) else out
    first.float().square().sum().backward()
    for hook in hooks:
        hook.remove()
    return seen, {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("make", [frames, localise, cutouts])
def test_16_bits_say_the_same_as_32(make):
    torch.manual_seed(0)
    network, given = make()
    network.eval()  # no dropout; the normalisation as it is
    (exact, slopes), (short, other) = (run(copy.deepcopy(network), given, bits) for bits in (32, 16))
    assert exact.keys() == short.keys()
    for name, values in exact.items():
        assert (short[name] - values).abs().max() < 0.05 * values.abs().max(), name
    for name, values in slopes.items():
        assert (other[name] - values).norm() < 0.1 * values.norm() + 1e-6, name
