import pytest

from analyse.lat.inputs import aimed, parts_of_search
from analyse.lat.region import Optics, region_of
from sim.lat.photons import Scatter
from stream.lat.builtin import stand_in as instrument
from stream.lat.exposure import survey
from stream.lat.patch import LAT, cut
from stream.lat.psf import profiles_of
from stream.lat.scene import scene_of
from stream.lat.search import search
from stream.lat.sky import expect
from stream.lat.sky import stand_in as diffuse
from tests.analyse.lat.skies import counted, sources

PLACE = (70.0, 45.0)
FLUX, INDEX = 3e-9, 2.2
NEIGHBOUR = (72.0, 46.0)


@pytest.fixture(scope="session")
def tools():
    """Instrument, exposure of a year, expected diffuse light of a year, scatter."""
    optics = instrument()
    exposure = survey(optics, 1)
    return optics, exposure, expect(diffuse(), exposure), Scatter(optics)


@pytest.fixture(scope="session")
def optics(tools):
    return Optics.of(tools[0])


@pytest.fixture(scope="session")
def sky(tools):
    """Two years: a source of FLUX and INDEX at PLACE, steady, and a neighbour."""
    table = sources([FLUX, 1.5e-9], [PLACE, NEIGHBOUR], [INDEX, 2.5])
    return counted(PLACE, table, tools, 5, years=2)


@pytest.fixture(scope="session")
def setup(tools, optics, sky):
    """Region, source and neighbours of the sky, as the command has them."""
    return set_up(tools, optics, sky, PLACE)


def set_up(tools, optics, sky, place, years=2):
    exposure = survey(tools[0], years)
    profiles = profiles_of(tools[0], LAT.blur_deg)
    expected = expect(diffuse(), exposure)
    patch = cut(sky.maps, *place)
    light = expected.on(patch)
    found = search(scene_of(patch, light, exposure, profiles))
    region = region_of(scene_of(patch, light, exposure, profiles), optics, exposure)
    return (region, *aimed(parts_of_search(found, exposure, place), exposure, place))
