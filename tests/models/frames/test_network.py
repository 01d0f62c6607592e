import math

import pytest


@pytest.fixture
def network(torch):
    from models.frames.network import FrameNet

    torch.manual_seed(1)
    return FrameNet().eval()


def test_logits_are_the_means_of_the_activation_maps(torch, network):
    energies = torch.rand(3, 1, 64, 64) * 2000
    with torch.no_grad():
        logits, maps = network(energies)
    assert logits.shape == (3, 4)
    assert maps.shape == (3, 4, 16, 16)
    torch.testing.assert_close(logits, maps.mean(dim=(2, 3)))


def test_it_has_the_layers_of_the_seed(torch, network):
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [64, *[12] * 5, 62, *[12] * 5, 4, 2]  # the last: in training only
    assert sum(isinstance(m, torch.nn.Dropout) and m.p == 0.2 for m in network.modules()) == 10


def test_an_activation_map_follows_its_signal(torch, network):
    quiet = torch.zeros(1, 1, 64, 64)
    lit = quiet.clone()
    lit[0, 0, 40, 12] = 5000
    with torch.no_grad():
        change = (network(lit)[1] - network(quiet)[1]).abs().amax(dim=1)[0]
    y, x = divmod(int(change.argmax()), 16)
    assert abs(y - 10) <= 2
    assert abs(x - 3) <= 2


def test_the_logarithm_is_linear_in_the_noise_and_0_below_0(torch):
    from models.frames.network import NOISE_EV, scaled

    energies = torch.tensor([-50.0, 0.0, 0.01 * NOISE_EV, NOISE_EV, 1e4])
    expected = [0, 0, 0.00995, math.log(2), math.log1p(1e4 / NOISE_EV)]
    assert scaled(energies).tolist() == pytest.approx(expected, abs=1e-5)


def test_no_frames_give_no_logits(torch, network):
    with torch.no_grad():
        logits, maps = network(torch.empty(0, 1, 64, 64))
    assert logits.shape == (0, 4)
    assert maps.shape == (0, 4, 16, 16)


def test_a_signal_has_the_same_logits_in_a_larger_window(torch):
    from models.frames.network import FrameNet

    torch.manual_seed(2)
    network = FrameNet(layers=1).eval()  # sees 12 pixels around: nothing of the border of either window

    def seen(side):
        quiet = torch.zeros(1, 1, side, side)
        lit = quiet.clone()
        lit[0, 0, side // 2, side // 2] = 3000
        with torch.no_grad():
            return [network(one)[0][0] for one in (quiet, lit)]

    small = seen(32)
    before = seen(64)
    network.enlarge(4, torch.zeros(3, 1, 64, 64))
    large = seen(64)
    torch.testing.assert_close(large[0], before[0])  # the empty window
    torch.testing.assert_close(large[1] - large[0], small[1] - small[0])
    assert not torch.allclose(before[1] - before[0], small[1] - small[0], rtol=0.1)
    network.train()
    assert not any(m.training for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert all(m.training for m in network.modules() if isinstance(m, torch.nn.Dropout))
