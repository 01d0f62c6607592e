import shutil

import pytest

from tests.stream.daemons import write_statuses


@pytest.fixture(scope="session")
def _statuses(tmp_path_factory):
    made = tmp_path_factory.mktemp("statuses")
    write_statuses(made)
    return made


@pytest.fixture
def out(_statuses, tmp_path):
    """The folder of a daemon that has ended, with its statuses."""
    shutil.copytree(_statuses / ".status", tmp_path / ".status")
    return tmp_path
