import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from config.errors import ConfigError
from sim.geant4.aim import aim
from sim.geant4.compact import Names
from sim.geant4.data_files import VERSION
from sim.geant4.produce import describe, join_parts, produce
from sim.hit_library import PRIMARY, SEGMENT, STEP, HitLibrary
from tests.sim.geant4.conftest import BATCH, BATCHES, ROOT

NEUTRAL = (22, 2112, 111, 130, 310, 3122)


def tables(path):
    with h5py.File(path) as file:
        return {name: file[name][()].tobytes() for name in ("primaries", "segments", "steps")} | {
            "production": bytes(file.attrs["production"])
        }


def copied(production, tmp_path, *without):
    """Return the name of a library to be, with the parts of the production but for these."""
    out = tmp_path / "hits.h5"
    shutil.copytree(production.with_name("hits.h5.parts"), tmp_path / "hits.h5.parts")
    for number in without:
        (tmp_path / "hits.h5.parts" / f"{number:06d}.npz").unlink()
    return out


def test_the_number_of_workers_changes_nothing(production, order, data_files, tmp_path):
    done = []
    produce(tmp_path / "one.h5", order, BATCHES, 1, data_files, done.append)
    assert tables(tmp_path / "one.h5") == tables(production)
    assert done == list(range(BATCHES + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["one.h5"]  # no parts, no temporary files


def test_another_seed_gives_others(production, order, data_files, tmp_path):
    produce(tmp_path / "other.h5", replace(order, seed=4), 1, 1, data_files)
    with HitLibrary(production) as first, HitLibrary(tmp_path / "other.h5") as other:
        assert not np.isin(other.primaries()["energy_gev"], first.primaries()["energy_gev"]).any()


def test_it_goes_on_from_the_parts_that_are_there(production, order, data_files, tmp_path):
    out = copied(production, tmp_path, 1)
    produce(out, order, BATCHES, 2, data_files)
    assert tables(out) == tables(production)
    assert not (tmp_path / "hits.h5.parts").exists()


def test_it_grows_from_the_parts_that_were_kept(production, order, data_files, tmp_path):
    out = copied(production, tmp_path)
    produce(out, order, BATCHES + 1, 1, data_files, keep_parts=True)
    with HitLibrary(production) as first, HitLibrary(out) as more:
        assert len(more) > len(first)
        assert np.array_equal(more.primaries(0, len(first)), first.primaries())
        assert np.array_equal(more.hits(0, len(first)), first.hits(0, len(first)))
        assert more.production.aimed == (BATCHES + 1) * BATCH


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_it_goes_on(sign, production, order, data_files, tmp_path):
    out = tmp_path / "hits.h5"
    command = [sys.executable, "raysieve.py", "simulate", "hits", str(out), "--geometry", "close", "--seed", "3"]
    command += ["--batch", str(BATCH), "--aimed", str(BATCH * BATCHES), "--workers", "1", "--data", str(data_files)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    first = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    parts, until = out.with_name("hits.h5.parts"), time.monotonic() + 240
    while not (parts / "000000.npz").is_file() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(first.pid, sign)  # as ctrl-C in a terminal: to every process
    said = first.communicate()[1]
    assert (parts / "000000.npz").is_file()
    assert not out.exists()
    if sign == signal.SIGINT:
        assert first.returncode == 1
        assert said.strip().endswith("interrupted; what is done is kept, and the same command goes on")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "primaries with signal, of 600 that met the box" in done.stdout
    assert tables(out) == tables(production)


def test_workers_end_with_their_parent(data_files, tmp_path):
    out = tmp_path / "hits.h5"
    command = [sys.executable, "raysieve.py", "simulate", "hits", str(out), "--aimed", "1000000", "--workers", "1"]
    parent = subprocess.Popen([*command, "--data", str(data_files)], cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("hits.h5.parts/worker-*.log")) and time.monotonic() < until:
        time.sleep(0.05)
    worker = int(next(tmp_path.glob("hits.h5.parts/worker-*.log")).stem.split("-")[1])
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < until:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{worker}")


def test_parts_of_another_production_are_refused(production, order, data_files, tmp_path):
    out = copied(production, tmp_path)
    other = replace(
        order, seed=9, physics="em", geometry_toml=order.geometry_toml.replace("wall_mm = 20", "wall_mm = 21")
    )
    with pytest.raises(
        ConfigError, match=r"parts of another production .*physics full there, em now; seed 3 there, 9 now"
    ):
        produce(out, other, BATCHES, 1, data_files)
    identity = tmp_path / "hits.h5.parts" / "order.json"
    identity.write_text(identity.read_text().replace(VERSION, "older"))
    with pytest.raises(ConfigError, match=f"data_files older there, {VERSION} now"):
        produce(out, order, BATCHES, 1, data_files)
    identity.write_text("{")
    with pytest.raises(ConfigError, match="cannot be used for the parts"):
        produce(out, order, BATCHES, 1, data_files)


def test_a_place_that_cannot_be_written_is_one_line(order, data_files, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        produce(tmp_path / "file" / "hits.h5", order, 1, 1, data_files)
    (tmp_path / "hits.h5.parts").write_text("")
    with pytest.raises(ConfigError, match="cannot be used for the parts"):
        produce(tmp_path / "hits.h5", order, 1, 1, data_files)
    with pytest.raises(ConfigError, match="a file to write, not a folder"):
        produce(tmp_path, order, 1, 1, data_files)


def test_parts_stay_where_an_old_library_could_not_be_replaced(production, order, data_files, tmp_path):
    out = copied(production, tmp_path)
    shutil.copy(production, out)
    damaged = tmp_path / "hits.h5.parts" / "000001.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"000001\.npz: damaged part .* remove it and run the same command again"):
        produce(out, order, BATCHES, 1, data_files)
    assert tables(out) == tables(production)
    damaged.unlink()
    produce(out, order, BATCHES, 1, data_files)
    assert tables(out) == tables(production)
    assert not damaged.parent.exists()


def test_its_command_names_a_shipped_geometry_only_for_what_ships(order):
    names = {name: Names() for name in ("processes", "volumes")}
    assert "--geometry close " in describe(order, 1, names).command
    thick = replace(order, geometry_toml=order.geometry_toml.replace("wall_mm = 20", "wall_mm = 40"))
    assert "--geometry close.toml " in describe(thick, 1, names).command


def test_a_worker_that_geant4_ends_is_one_line_with_its_words(order, data_files, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(data_files, broken)
    (broken / "G4EMLOW" / "brem_SB" / "br14").unlink()
    with pytest.raises(ConfigError) as caught:
        produce(tmp_path / "hits.h5", order, 1, 1, broken)
    assert str(caught.value).startswith("Geant4 ended a worker: G4Exception : em0003")
    assert "br14> is not opened" in str(caught.value)
    assert "\n" not in str(caught.value)
    # Mended, the same call goes on.
    produce(tmp_path / "hits.h5", order, 1, 1, data_files)
    assert (tmp_path / "hits.h5").is_file()


def test_a_production_without_any_signal_is_one_line(order, tmp_path):
    rows = {"primaries": np.empty(0, PRIMARY), "segments": np.empty(0, SEGMENT), "steps": np.empty(0, STEP)}
    np.savez(tmp_path / "part.npz", processes=np.array([], "U32"), volumes=np.array([], "U32"), **rows)
    with pytest.raises(ConfigError, match="expected more primaries: none of 300 left a signal"):
        join_parts(tmp_path / "hits.h5", order, [tmp_path / "part.npz"])
    assert not (tmp_path / "hits.h5").exists()


@pytest.mark.parametrize("change", [{"phi_gv": float("nan")}, {"phi_gv": 0.0}, {"seed": -1}, {"batch": 0}])
def test_an_impossible_order_is_one_line(order, change):
    with pytest.raises(ConfigError, match="production: expected"):
        replace(order, **change)


def test_the_library_says_what_it_stands_for(production, order):
    with HitLibrary(production) as library:
        made = library.production
    assert made.aimed == BATCH * BATCHES
    assert made.sphere_primaries == pytest.approx(made.aimed / order.geometry.aimed_fraction)
    assert made.exposure_s == pytest.approx(made.sphere_primaries / (4.1 * np.pi * 70**2))
    assert (made.geometry, made.physics, made.seed, made.batch) == ("close", "full", 3, BATCH)
    assert made.command.endswith("--geometry close --aimed 600 --batch 300 --physics full --phi-gv 0.38 --seed 3")
    assert made.data_files == VERSION
    assert {"primary", "hIoni"} < set(made.processes)
    assert {"world", "wall", "board0"} < set(made.volumes)


def test_the_library_holds_the_primaries_that_were_aimed(production, order):
    with HitLibrary(production) as library:
        rows = library.primaries()
    assert (np.diff(rows["number"]) > 0).all()
    assert 0.1 < len(rows) / (BATCH * BATCHES) < 0.3
    for batch in range(BATCHES):
        primaries = aim(order.geometry, BATCH, order.seed, batch)
        mine = rows[rows["number"] // BATCH == batch]
        assert mine["energy_gev"] == pytest.approx(primaries.energy_gev[mine["number"] % BATCH], rel=1e-6)
        assert mine["direction"] == pytest.approx(primaries.direction[mine["number"] % BATCH], abs=1e-6)
    assert np.linalg.norm(rows["sphere_mm"], axis=1) == pytest.approx(np.full(len(rows), 700.0), rel=1e-6)


def test_its_hits_keep_the_energy_and_lie_in_the_silicon(production):
    with HitLibrary(production) as library:
        hits, segments, rows = library.hits(0, len(library)), library.segments(0, len(library)), library.primaries()
    assert np.bincount(hits["primary"], hits["energy_ev"]) == pytest.approx(rows["deposit_kev"] * 1e3, rel=1e-5)
    for end in ("start_um", "end_um"):
        assert hits[end].min() >= 0
        assert hits[end][:, 2].max() <= 450
        assert hits[end][:, :2].max() <= 512 * 130
    neutral = np.isin(segments["particle"][hits["segment"]], NEUTRAL)
    assert neutral.any()
    assert np.array_equal(hits["start_um"][neutral], hits["end_um"][neutral])
    assert (hits["energy_ev"] > 0).all()
    assert set(np.unique(hits["quadrant"])) <= {0, 1, 2, 3}
