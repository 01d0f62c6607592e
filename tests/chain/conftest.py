import pytest

from tests.chain.daemon import READOUTS, camera


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small camera: sky.h5 of READOUTS read-outs, and maps.h5."""
    made = tmp_path_factory.mktemp("chain")
    camera(READOUTS, made)
    return made
