"""The daemon of photons over sockets: equal to the batch job, and whole after it was killed."""

import os
import signal

import numpy as np
import pytest
from astropy.io import fits

from stream.lat.photons import BLOCK_S
from stream.messages import End, Start
from stream.transport.link import Push
from stream.transport.photons import open_photons, write_photons
from stream.transport.sky_files import read_sky
from tests.chain.daemon import Daemon, raysieve, wait_for
from tests.stream.lat.skies import stream

WINDOWS = ("six_hours", "day", "week", "month", "mission")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("sky") / "photons.h5"
    write_photons(path, stream(30_000, 40 * BLOCK_S)[1], {"seed": 0})
    return path


@pytest.fixture(scope="module")
def batch(recording):
    out = recording.parent / "batch"
    done = raysieve("process", recording, "-c", "lat", "--set", "localise.windows=[]", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "photons: " in done.stdout
    return out / "sky"


class SkyDaemon(Daemon):
    def __init__(self, folder, out, *arguments, once=True):
        super().__init__(
            folder, out, "--only", "sky", "--set", "localise.windows=[]", *arguments, once=once, config="lat"
        )
        self.url = f"ipc://{folder}/links/photons.sock"


def assert_equal(found, expected):
    for name in WINDOWS:
        with fits.open(found / f"{name}.fits") as ours, fits.open(expected / f"{name}.fits") as theirs:
            assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs]
            for hdu in ("FRONT", "BACK", "GTI"):
                assert ours[hdu].data.tobytes() == theirs[hdu].data.tobytes(), (name, hdu)
            for band in range(6):
                a, b = (file["FRONT_EXPOSURE"].data[f"CHANNEL{band}"] for file in (ours, theirs))
                np.testing.assert_allclose(a, b, rtol=1e-4)


def test_the_socket_gives_what_the_batch_job_gives(recording, batch, tmp_path):
    daemon = SkyDaemon(tmp_path, tmp_path / "out")
    done = raysieve("replay", recording, "--to", daemon.url, "--rate", "max")
    assert done.returncode == 0, done.stderr
    assert "photons/s" in done.stdout
    code, said = daemon.end()
    assert code == 0, said
    assert_equal(tmp_path / "out" / "sky", batch)
    status = raysieve("top", tmp_path / "out", "--once")
    assert status.returncode == 0
    assert "sky" in status.stdout


def test_a_killed_process_goes_on_and_what_it_lost_comes_again(recording, batch, tmp_path):
    out = tmp_path / "out"
    daemon = SkyDaemon(tmp_path, out, once=False)
    start, *batches, end = open_photons([recording]).messages()
    assert isinstance(start, Start)
    assert isinstance(end, End)
    taken = lambda: daemon.status()["sky"]["stages"].get("accumulate_sky", {}).get("batches", 0)  # noqa: E731
    with Push(daemon.url, queue=16, bind=False) as push:
        for message in (start, *batches[:20]):
            assert push.send(message, timeout_s=30)
        wait_for(lambda: (out / "sky" / "counted.h5").is_file() and taken() == 20)
        os.kill(daemon.status()["sky"]["pid"], signal.SIGKILL)
        wait_for(lambda: taken() == 0)  # another one is at work
        for message in (*batches[25:], end):  # five were lost on the way
            assert push.send(message, timeout_s=30)
        wait_for(lambda: taken() == len(batches) - 25)
        kept = read_sky(out / "sky" / "counted.h5")
        assert kept.newest_s > 0
        missing = daemon.status()["sky"]["stages"]["accumulate_sky"]["batches_missing"]
        assert missing >= 5
        for message in (start, *batches, end):  # all of it once more
            assert push.send(message, timeout_s=30)
    wait_for(lambda: taken() == 2 * len(batches) - 25)
    daemon.process.send_signal(signal.SIGINT)
    code, said = daemon.end()
    assert code == 0, said
    assert_equal(out / "sky", batch)
