import shutil
import time

import pytest

from tests.stream.daemons import write_statuses


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    made = tmp_path_factory.mktemp("finished")
    write_statuses(made)
    return made


@pytest.fixture
def out(finished, tmp_path, monkeypatch):
    """The folder of a daemon that has finished; wall time stands still, how fast the test is must not matter."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path
