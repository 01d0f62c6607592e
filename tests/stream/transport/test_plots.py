import numpy as np
import pytest
from astropy.io import fits
from matplotlib.image import imread

from stream.errors import ConfigError, LinkError
from stream.transport import plots
from tests.event_lists import event_list, write


@pytest.fixture
def event_file(tmp_path):
    (path,) = write(tmp_path, [event_list(s, {0: 9, 3: 7}) for s in range(20)])
    return path


@pytest.mark.parametrize("draw", [plots.plot_image, plots.plot_spectrum])
def test_a_plot_is_a_picture(event_file, tmp_path, draw):
    picture = imread(draw(event_file, tmp_path / "plot.png"))
    assert max(picture.shape[:2]) > 900
    assert min(picture.shape[:2]) > 350  # as wide or narrow as its camera
    assert picture[..., :3].std() > 0.05


@pytest.mark.parametrize("draw", [plots.plot_image, plots.plot_spectrum])
def test_a_list_of_nothing_can_be_drawn(tmp_path, draw):
    (path,) = write(tmp_path, [])
    assert imread(draw(path, tmp_path / "plot.png")).size


@pytest.mark.parametrize("draw", [plots.plot_image, plots.plot_spectrum])
def test_a_list_without_position_or_energy(tmp_path, draw):
    fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=[1.0])], name="EVENTS").writeto(tmp_path / "a.fits")
    with pytest.raises(ConfigError, match=r"a\.fits: EVENTS: expected"):
        draw(tmp_path / "a.fits", tmp_path / "plot.png")


def test_a_plot_that_cannot_be_written(event_file, tmp_path):
    with pytest.raises(LinkError, match=r"none/plot\.png"):
        plots.plot_image(event_file, tmp_path / "none" / "plot.png")


def test_an_image_holds_every_event_at_its_place():
    x, y = np.array([0.2, 63.4, 100.0, np.nan]), np.array([0.0, 47.4, 10.0, 1.0])
    image, extent, block = plots._binned(x, y, [(0, (-0.5, -0.5, 64, 48)), (3, (69.5, -0.5, 64, 48))])
    assert image.sum() == 3
    assert extent[:3:2] == (-0.5, -0.5)
    assert image[int(10.5 / block), int(100.5 / block)] == 1


def test_energies_of_another_mission_have_bins_of_their_own():
    """Chandra names the column in small letters, and gives eV; there is no PI_EV."""
    events = np.zeros(500, [("ENERGY", "<f4")])
    events["ENERGY"] = np.linspace(500, 1500, 500)
    header = {"TTYPE1": "energy", "TUNIT1": "eV"}
    energy, label, unit = plots._energies("a.fits", events, header)
    assert (label, unit) == ("energy (keV)", "keV")
    edges = plots._edges(energy, header, unit)
    assert len(edges) > 15
    assert edges[0] < 0.5 < 1.5 < edges[-1]


def test_bins_of_a_spectrum_are_whole_channels():
    edges = plots._edges(np.linspace(0.3, 9, 5000), {"PI_EV": 10.0})
    assert (np.diff(edges) > 0.0099).all()
    np.testing.assert_allclose(edges / 0.01, np.round(edges / 0.01), atol=1e-6)
    assert edges[0] <= 0.3
    assert edges[-1] >= 9
