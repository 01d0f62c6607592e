"""`raysieve process --scheduler`: on the workers of a Dask cluster the same as one by one, whoever dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.io import fits
from click.testing import CliRunner

from config.load import load
from raysieve import cli
from stream.commands.cluster import TRIES, Place
from stream.commands.job import Job, carry_out
from stream.errors import ConfigError, LinkError
from tests.chain.daemon import ROOT, TABLES, camera, raysieve, tables, wait_for

LONG = 400  # read-outs of the recording whose worker is killed
SCREEN = ["--set", "screen.model=islands", "--set", "screen.max_lost_xray_fraction=0.0182"]
VARYING = {"DATE", "CHECKSUM", "DATASUM"}
OWN = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two recordings (long.h5 and short.h5), their maps, text.h5; the event lists of one after the other in serial/."""
    made = tmp_path_factory.mktemp("cluster")
    for name, readouts in (("long", LONG), ("short", 20)):
        camera(readouts, made)
        (made / "sky.h5").rename(made / f"{name}.h5")
    (made / "text.h5").write_text("no recording")
    done = process(made, ["long", "short"], made / "serial")
    assert done.returncode == 0, done.stderr
    (made / "serial.txt").write_text(done.stderr)
    return made


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A cluster that is there already, two workers."""
    own, address = cluster(tmp_path_factory.mktemp("own"))
    yield address
    own.communicate("")


def cluster(folder):
    """Start a cluster on loopback; return its process, which ends with its input, and its address."""
    (folder / "own.py").write_text(OWN)
    command = [sys.executable, str(folder / "own.py")]
    own = subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, stderr=-3, text=True)
    return own, own.stdout.readline().strip()


def started(*arguments):
    """Start `raysieve`; return it when a worker has begun to write below the folder of `--out`, and where."""
    command = [sys.executable, "-m", "raysieve", *map(str, arguments)]
    run = subprocess.Popen(command, cwd=ROOT, stdout=-3, stderr=-1, text=True)
    tries = arguments[arguments.index("--out") + 1] / TRIES
    wait_for(lambda: list(tries.glob("*")) or run.poll() is not None)
    return run, tries


def words(folder, names, out, *more):
    given = [folder / f"{name}.h5" for name in names]
    return ["process", *given, "-c", "quick", *SCREEN, "--maps", folder / "maps.h5", "--out", out, *more]


def process(folder, names, out, *more):
    return raysieve(*words(folder, names, out, *more))


def assert_same(found, expected):
    one, other = tables(found), tables(expected)
    for name in TABLES:
        assert one[name].tobytes() == other[name].tobytes(), name
    assert keywords(found) == keywords(expected)


def keywords(path):
    with fits.open(path) as hdus:
        return [[card[:2] for card in hdu.header.cards if card.keyword not in VARYING] for hdu in hdus]


def assert_alone(path):
    """Nothing but this event list lies in its folder."""
    assert list(path.parent.iterdir()) == [path]


def test_on_workers_of_this_machine_it_is_the_same_bit_for_bit(recordings, tmp_path):
    done = process(recordings, ["long", "short"], tmp_path, "--scheduler", "local")
    assert done.returncode == 0, done.stderr
    paths = [tmp_path / name / "events.fits" for name in ("long", "short")]
    assert sorted(done.stdout.splitlines()) == sorted(map(str, paths))
    told, expected = (said.split("\n") for said in (done.stderr, (recordings / "serial.txt").read_text()))
    assert sorted(filter(None, told)) == sorted(filter(None, expected))
    assert any(line.startswith("short.h5: screen: judged: ") for line in told)
    for path in paths:
        assert_same(path, recordings / "serial" / path.parent.name / "events.fits")
        assert_alone(path)


def test_the_work_of_a_killed_worker_is_done_again_and_leaves_one_result(recordings, address, tmp_path):
    run, tries = started(*words(recordings, ["long"], tmp_path, "--scheduler", address))
    os.kill(worker_of(next(tries.iterdir())), signal.SIGKILL)
    wait_for(lambda: len(list(tries.glob("*"))) == 2)
    assert not (tmp_path / "events.fits").exists()
    _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert_same(tmp_path / "events.fits", recordings / "serial" / "long" / "events.fits")
    assert_alone(tmp_path / "events.fits")


def worker_of(folder):
    """Return the process that writes into the folder of a try."""
    return int(folder.name.split("-")[-2])


@pytest.mark.slow
def test_what_kills_every_worker_is_named_and_leaves_nothing(recordings, address, tmp_path):
    run, tries = started(*words(recordings, ["long"], tmp_path, "--scheduler", address))
    killed = set()

    def kill():
        for folder in set(tries.glob("*")) - killed:
            os.kill(worker_of(folder), signal.SIGKILL)
            killed.add(folder)
        return run.poll() is not None

    wait_for(kill)
    _, said = run.communicate()
    assert run.returncode == 1
    assert said.splitlines()[-1] == f"raysieve: {recordings}/long.h5: 4 workers died of it, one after the other"
    assert len(killed) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_bad_recording_is_named_and_the_good_one_delivered(recordings, address, tmp_path):
    (tmp_path / "long").mkdir()
    (tmp_path / "long" / "events.fits").write_text("of an earlier run")
    done = process(recordings, ["text", "short", "long"], tmp_path, "--scheduler", address)
    assert done.returncode == 1
    alone = CliRunner().invoke(cli, list(map(str, words(recordings, ["text"], tmp_path / "alone"))))
    faults = done.stderr.splitlines()[-2:]
    assert str(alone.exception) in [line.removeprefix("raysieve: ") for line in faults]
    assert any("long.h5: " in line and "events.fits: is there already" in line for line in faults)
    assert done.stdout == f"{tmp_path}/short/events.fits\n"
    assert_same(tmp_path / "short" / "events.fits", recordings / "serial" / "short" / "events.fits")
    assert (tmp_path / "long" / "events.fits").read_text() == "of an earlier run"
    assert not (tmp_path / "text" / TRIES).exists()


def test_a_scheduler_that_dies_gives_one_line_and_nothing_half(recordings, tmp_path):
    own, address = cluster(tmp_path)
    run, _ = started(*words(recordings, ["long"], tmp_path / "out", "--scheduler", address))
    own.kill()
    own.communicate()
    _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert said.strip() == f"raysieve: --scheduler {address}: lost: 1 of 1 recordings not done"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("address", "kind", "expected"),
    [
        ("tcp://127.0.0.1:1", LinkError, "no Dask scheduler answers: "),
        ("somewhere", ConfigError, "expected local, tcp://HOST:PORT or tls://HOST:PORT"),
    ],
)
def test_an_address_where_nobody_is_gives_one_line(recordings, tmp_path, address, kind, expected):
    done = CliRunner().invoke(cli, list(map(str, words(recordings, ["short"], tmp_path, "--scheduler", address))))
    assert isinstance(done.exception, kind)
    assert f"--scheduler {address}: {expected}" in str(done.exception)
    assert "\n" not in str(done.exception)


def test_without_the_extra_one_line_names_it(recordings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = CliRunner().invoke(cli, list(map(str, words(recordings, ["short"], tmp_path, "--scheduler", "local"))))
    assert isinstance(done.exception, ConfigError)
    assert "expected the cluster extra, pip install -e '.[cluster]'" in str(done.exception)


def test_of_two_tries_at_once_one_is_put_in_place(recordings, tmp_path):
    leftover = tmp_path / TRIES / "killed" / "events.fits"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("half")
    place = Place(tmp_path)
    assert not leftover.exists()
    written = [run(recordings, place.tries / name) for name in ("slow", "quick")]
    assert place.put(written[1]) == (tmp_path / "events.fits",)
    place.close()
    assert_alone(tmp_path / "events.fits")
    with pytest.raises(ConfigError, match="is there already"):
        Place(tmp_path)
    Place(tmp_path, overwrite=True).close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_somebody_works_for_is_refused(tmp_path):
    place = Place(tmp_path)
    with pytest.raises(ConfigError, match="another process is writing"):
        Place(tmp_path)
    place.close()


def run(folder: Path, out: Path) -> list[Path]:
    job = Job(folder / "short.h5", load("quick"), out, folder / "maps.h5")
    return carry_out(job, lambda line: None, lambda done, of: None)
