import gzip
import io

import numpy as np
import pytest

from serve.uploads import CHUNK, RefusedError, keep

DATA = b"SIMPLE  =" + np.random.default_rng(0).integers(0, 256, CHUNK + 1000, np.uint8).tobytes()
HALVES = gzip.compress(DATA[:5000]) + gzip.compress(DATA[5000:])


@pytest.mark.parametrize(
    "sent",
    [DATA, gzip.compress(DATA), HALVES, HALVES + bytes(2 * CHUNK)],
    ids=["plain", "gzip", "two members", "padded"],
)
def test_an_upload_is_kept_whole(tmp_path, sent):
    assert keep(io.BytesIO(sent), tmp_path / "events.fits", 4 * CHUNK) == len(DATA)
    assert (tmp_path / "events.fits").read_bytes() == DATA


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        (b"", 422, "empty"),
        (HALVES[:-1], 422, "gzip is cut"),
        (gzip.compress(DATA) + b"SIMPLE  =", 422, "gzip is damaged"),
        (HALVES + gzip.compress(bytes(4 * CHUNK)), 413, "unpacked"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, sent, status, word):
    with pytest.raises(RefusedError, match=rf"events: .*{word}") as fault:
        keep(io.BytesIO(sent), tmp_path / "events.fits", 4 * CHUNK)
    assert fault.value.status == status
