"""The matrix of an RMF as an image."""

import numpy as np
import pytest

from stream.spectra.response import Response
from stream.transport.response_plots import PIXELS, matrix_of


@pytest.mark.parametrize("size", [60, 3 * PIXELS + 7])
def test_each_energy_is_redistributed_whole_whatever_the_pixels(size):
    energies, channels = np.linspace(1.0, 9.0, size + 1), np.linspace(0.2, 10.0, 2 * size + 1)
    middle = 0.5 * (channels[1:] + channels[:-1])
    dense = np.exp(-0.5 * ((middle - 0.5 * (energies[1:] + energies[:-1])[:, None]) / 0.2) ** 2)
    dense /= dense.sum(axis=1, keepdims=True)
    response = Response.of((energies[:-1], energies[1:]), (channels[:-1], channels[1:]), dense)
    energy, told, image = matrix_of(response)
    assert image.shape == (len(energy) - 1, len(told) - 1) == (min(size, PIXELS), min(2 * size, PIXELS))
    np.testing.assert_allclose((image * np.diff(told)).sum(axis=1), 1, rtol=1e-4)
    top = 0.5 * (told[1:] + told[:-1])[image.argmax(axis=1)]
    np.testing.assert_allclose(top, 0.5 * (energy[1:] + energy[:-1]), atol=2 * np.diff(told).max())


def test_channels_may_fall_in_energy():
    edges = np.linspace(8.0, 1.0, 8)
    rising = np.linspace(1.0, 8.0, 8)
    response = Response.of((rising[:-1], rising[1:]), (edges[1:], edges[:-1]), np.eye(7)[:, ::-1])
    _, told, image = matrix_of(response)
    np.testing.assert_allclose(told, rising)
    np.testing.assert_allclose(image, np.eye(7))
