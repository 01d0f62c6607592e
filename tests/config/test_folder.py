import errno
import tempfile

import pytest

from config.errors import ConfigError
from config.folder import folder_to_write


def test_a_folder_is_made_and_nothing_is_left_in_it(tmp_path):
    folder = tmp_path / "new" / "below"
    assert folder_to_write(folder) == folder
    assert list(folder.iterdir()) == []


def test_what_cannot_be_written_is_named_with_the_reason(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match=f"^{file}: cannot be written: is a file, expected a folder$"):
        folder_to_write(file)
    with pytest.raises(ConfigError, match=r"below: cannot be written: Not a directory$"):
        folder_to_write(file / "below")

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(ConfigError, match=f"^{tmp_path}: cannot be written: Read-only file system$"):
        folder_to_write(tmp_path)
