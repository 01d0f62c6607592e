import pytest

from tests import screens
from tests.models.screening.conftest import event_sets

__all__ = ["event_sets"]


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """A small network with the ends of the shipped one, whose maps can be worked out by hand."""
    return screens.network(tmp_path_factory.mktemp("network") / "net.onnx")
