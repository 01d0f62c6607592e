import json

import pytest

from config.errors import ConfigError
from serve.pool import Pool
from serve.settings import Limits
from serve.store import Store


def test_jobs_survive_a_restart_and_what_ran_is_an_error(tmp_path):
    store = Store(tmp_path / "s", 3600)
    ids = [store.new_place() for _ in range(3)]
    for job in ids:
        assert store.add(job, "local", "catalogue", {"threshold_sigma": 5.0}, 9)
        (store.place(job) / "events.fits").write_bytes(b"x")
    running = store.take(["catalogue"])
    assert running.id == ids[0]
    cut_off = store.new_place()
    store.close()
    store = Store(tmp_path / "s", 3600)
    first, second, _ = (store.get(job, "local") for job in ids)
    assert (first.phase, first.error) == ("ERROR", "the service was stopped")
    assert list(store.place(ids[0]).iterdir()) == []
    assert (second.phase, second.settings) == ("PENDING", {"threshold_sigma": 5.0})
    assert (store.place(ids[1]) / "events.fits").exists()
    assert not store.place(cut_off).exists()
    store.close()


def test_fits_come_first_and_finished_jobs_stay_as_they_are(tmp_path):
    store = Store(tmp_path / "s", 3600)
    for kind in ("catalogue", "fit"):
        store.add(store.new_place(), "local", kind, {}, 9)
    job = store.take(["fit", "catalogue"])
    assert job.kind == "fit"
    assert store.take(["fit"]) is None
    assert store.finish(job.id, "ABORTED")
    assert not store.finish(job.id, "COMPLETED")
    assert store.get(job.id, "local").phase == "ABORTED"
    assert not store.add(store.new_place(), "local", "fit", {}, 1)
    store.close()


def test_two_services_do_not_share_a_folder(tmp_path):
    store = Store(tmp_path / "s", 3600)
    with pytest.raises(ConfigError, match="another service"):
        Store(tmp_path / "s", 3600)
    store.close()
    (tmp_path / "s").chmod(0o755)
    with pytest.raises(ConfigError, match="mode 700"):
        Store(tmp_path / "s", 3600)
    with pytest.raises(ConfigError, match="cannot be used"):
        Store(tmp_path / "s" / "jobs.sqlite", 3600)


def test_a_job_over_its_time_or_whose_process_ends_is_an_error_and_the_next_one_runs(tmp_path, monkeypatch, until):
    orders = {"fit": ["late", "gone", "good"]}
    monkeypatch.setattr("serve.pool._Process", lambda memory_mb: Scripted(orders["fit"]))
    store = Store(tmp_path / "s", 3600)
    jobs = [store.new_place() for _ in range(3)]
    for job in jobs:
        store.add(job, "local", "fit", {}, 9)
    pool = Pool(store, 0, Limits(fit_s=0.2))
    until(lambda: store.get(jobs[-1], "local").phase == "COMPLETED")
    found = [store.get(job, "local") for job in jobs]
    assert [job.error for job in found] == ["took longer than 0.2 s", "its process ended unexpectedly", ""]
    assert [job.fault for job in found] == ["limit", "service", ""]
    pool.close()
    store.close()


def test_a_running_job_that_is_aborted_ends_its_process(tmp_path, monkeypatch, until):
    process = Scripted(["late"])
    monkeypatch.setattr("serve.pool._Process", lambda memory_mb: process)
    store = Store(tmp_path / "s", 3600)
    job = store.new_place()
    store.add(job, "local", "fit", {}, 9)
    pool = Pool(store, 0, Limits())
    until(lambda: process.now == "late")
    pool.abort(job)
    until(lambda: process.now == "")
    assert store.get(job, "local").phase == "ABORTED"
    pool.close()
    store.close()


class Scripted:
    """A process that does what it is told to."""

    def __init__(self, script):
        self.script, self.now = script, ""

    def order(self, what):
        assert json.dumps(what)
        self.now = self.script.pop(0)

    def answer(self, seconds):
        if self.now == "gone":
            raise EOFError
        return {} if self.now == "good" else None

    def end(self):
        self.now = ""
