import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from config.errors import ConfigError
from sim.crosscal.grid import RATIOS, GridPlan, Inputs, simulate_grid, spaced
from sim.crosscal.sets import read_grid
from sim.crosscal.telescope import analytic_response
from sim.crosscal.templates import Setting
from stream.crosscal.modifiers import family
from stream.transport.ogip import write_arf, write_rmf

ROOT = Path(__file__).parents[3]
AXES = {"mu_kev": (1.0, 1.8, 4.35), "sigma_kev": (0.5, 1.0), "amplitude": (-0.08, 0.0, 0.08)}
PLAN = GridPlan("gaussian", AXES, kt_kev=(2.6, 8.8), setting=Setting(nh_free=False))
FIELDS = (
    "theta",
    "kt_fit",
    "kt_modified",
    "kt_fit_sd",
    "nh_fit",
    "norm_fit",
    "statistic",
    "curve",
    "converged",
    "done",
)


def run(path, plan=PLAN, inputs=None, processes=1):
    for _ in simulate_grid(path, plan, inputs or Inputs(), processes):
        pass
    return read_grid(path)


def same(one, other):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("grid") / "grid.h5")


def test_a_grid_holds_what_the_contract_says(made):
    assert made.family.name == "gaussian"
    assert made.theta.shape == (18, 3)
    assert made.kt_fit.shape == made.kt_modified.shape == made.converged.shape == (18, 2)
    assert made.nh_fit.shape == made.norm_fit.shape == made.statistic.shape == (18, 2, 2)
    assert made.curve.shape == (18, 2, 2, len(RATIOS))
    assert made.done.all()
    assert made.about["plan"]["setting"]["nh_free"] is False
    np.testing.assert_allclose(made.kt_modified, np.tile(made.kt_kev, (18, 1)), rtol=1e-4)
    np.testing.assert_array_equal(made.curve[..., np.flatnonzero(made.curve_ln_ratio == 0)], 0)


def test_less_area_at_1p8_kev_is_taken_for_hotter_and_at_4p4_for_colder(made):
    shift = {tuple(t): made.kt_fit[i] / made.kt_kev - 1 for i, t in enumerate(made.theta)}
    assert np.all(shift[1.8, 1.0, -0.08] > 0)
    assert np.all(shift[1.8, 1.0, 0.08] < 0)
    assert np.all(shift[4.35, 1.0, -0.08] < 0)
    assert np.all(np.abs(shift[1.8, 1.0, 0.0]) < 1e-4)
    assert shift[1.8, 1.0, -0.08][1] > -shift[1.8, 1.0, 0.08][1]  # not symmetric


def test_an_ended_run_goes_on_to_the_same_grid(made, tmp_path):
    path = tmp_path / "grid.h5"
    run_of = simulate_grid(path, PLAN, Inputs())
    assert next(run_of) == (0, 18)
    assert next(run_of) == (8, 18)
    run_of.close()
    with pytest.raises(ConfigError, match="10 of 18 thetas are not done: the same command goes on"):
        read_grid(path)
    assert read_grid(path, partial=True).done.sum() == 8
    assert list(simulate_grid(path, PLAN, Inputs())) == [(8, 18), (16, 18), (18, 18)]
    same(read_grid(path), made)
    assert list(simulate_grid(path, PLAN, Inputs())) == [(18, 18)]


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path):
    """By kill -9 of the command, with two processes; the result is that of one process without a stop."""
    path = tmp_path / "grid.h5"
    plan = replace(PLAN, axes={**AXES, "mu_kev": tuple(spaced(0.5, 8, 200, False))}, kt_kev=(2.0, 4.0, 6.0, 8.0))
    words = ["--axis", "mu_kev=0.5:8:200", "--axis", "sigma_kev=0.5,1", "--axis", "amplitude=-0.08,0,0.08"]
    words += ["--kt", "2,4,6,8", "--nh-fixed", "--processes", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "raysieve.py"), "simulate", "crosscal", str(path), *words]
    for _ in range(2):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, deadline = done_of(path), time.monotonic() + 200
        while process.poll() is None and done_of(path) <= before and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = workers.read_text().split() if workers.is_file() else []
        process.send_signal(signal.SIGKILL)
        process.wait()
        while any(Path(f"/proc/{child}").is_dir() for child in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{child}").is_dir() for child in children)  # none outlives its parent
        if process.returncode == 0:
            break
    assert done_of(path) > 0
    subprocess.run(command, env=environment, check=True, capture_output=True)
    same(read_grid(path), run(tmp_path / "whole.h5", plan))


def done_of(path):
    try:
        with h5py.File(path, "r", locking=False) as file:
            return int(file["done"][:].sum())
    except (OSError, KeyError):
        return 0


def test_another_plan_is_refused_by_what_differs(tmp_path, made):
    path = tmp_path / "grid.h5"
    next(simulate_grid(path, PLAN, Inputs()))
    other = replace(PLAN, setting=replace(PLAN.setting, exposure_s=1e4))
    with pytest.raises(ConfigError, match=r"plan\.setting\.exposure_s 50000\.0 there, 10000\.0 now.*--overwrite"):
        next(simulate_grid(path, other, Inputs()))
    with pytest.raises(ConfigError, match=r"plan\.axes\.mu_kev"):
        next(simulate_grid(path, replace(PLAN, axes={**AXES, "mu_kev": (1.0,)}), Inputs()))


def test_damaged_and_other_files_are_refused(tmp_path):
    path = tmp_path / "grid.h5"
    run(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"grid\.h5: .*expected a grid of `raysieve simulate crosscal`"):
        read_grid(path)
    with pytest.raises(ConfigError, match="expected a grid"):
        run(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["kt_fit"][3, 1] = np.nan
    with pytest.raises(ConfigError, match="damaged"):
        read_grid(path)
    with h5py.File(path, "w") as file:
        file.attrs["kind"] = "corona"
    with pytest.raises(ConfigError, match="expected crosscal, 1"):
        read_grid(path)


def test_bad_plans_are_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "grid.h5"
    cases = [
        (replace(PLAN, axes={"amplitude": (-1.2,)}), "amplitude -1.2: -.*an area cannot be negative"),
        (replace(PLAN, kt_kev=(0.1, 5.0)), r"temperatures within 0\.20\d to 81\.4 keV"),
        (replace(PLAN, axes={"mu": (1.0,)}), "axis mu: family gaussian has mu_kev, sigma_kev, amplitude"),
        (replace(PLAN, axes={"mu_kev": tuple(range(1, 2_000_000))}), "1 to 10,000,000 simulations"),
        (replace(PLAN, family="spline"), "expected one of gaussian"),
    ]
    for plan, said in cases:
        with pytest.raises(ConfigError, match=said):
            next(simulate_grid(path, plan, Inputs()))
    assert not path.exists()


def test_files_that_do_not_fit_are_refused(tmp_path):
    response = analytic_response()
    write_rmf(tmp_path / "a.rmf", response)
    short = replace(response, energy_lo_kev=response.energy_lo_kev[:-1], energy_hi_kev=response.energy_hi_kev[:-1])
    write_arf(tmp_path / "a.arf", replace(short, area_cm2=response.area_cm2[:-1]))
    files = Inputs(str(tmp_path / "a.arf"), str(tmp_path / "a.rmf"))
    with pytest.raises(ConfigError, match=r"a\.arf: 599 bins of energy, but a\.rmf has 600"):
        next(simulate_grid(tmp_path / "grid.h5", PLAN, files))
    with pytest.raises(ConfigError, match="--arf, --rmf: expected both"):
        next(simulate_grid(tmp_path / "grid.h5", PLAN, Inputs(arf="a.arf")))


def test_files_give_what_the_built_in_telescope_gives(made, tmp_path):
    response = analytic_response()
    write_rmf(tmp_path / "a.rmf", response)
    write_arf(tmp_path / "a.arf", response)
    found = run(tmp_path / "grid.h5", inputs=Inputs(str(tmp_path / "a.arf"), str(tmp_path / "a.rmf")))
    np.testing.assert_allclose(found.kt_fit, made.kt_fit, rtol=1e-5)
    assert found.about["files"]["arf"]["name"] == "a.arf"


def test_thetas_are_drawn_within_the_box_for_families_of_many_parameters():
    plan = GridPlan("spline:6", points=100, seed=3)
    theta, kind = plan.theta(), family("spline:6")
    assert theta.shape == (100, 6)
    assert np.all((theta > kind.low) & (theta < kind.high))
    np.testing.assert_array_equal(theta, plan.theta())
    drawn = GridPlan("gaussian", {"mu_kev": (1.0, 4.0), "amplitude": (0.1, 0.1)}, points=64).theta()
    assert 1 < np.exp(np.log(drawn[:, 0]).mean()) < 4
    np.testing.assert_array_equal(drawn[:, 2], 0.1)


def test_noise_depends_on_seed_and_theta_only(tmp_path):
    plan = replace(PLAN, setting=Setting(nh_free=False, noise=True, norm=0.01), seed=5)
    one = run(tmp_path / "one.h5", plan)
    run_of = simulate_grid(tmp_path / "two.h5", plan, Inputs())
    next(run_of), next(run_of)
    run_of.close()
    same(run(tmp_path / "two.h5", plan), one)
    other = run(tmp_path / "other.h5", replace(plan, seed=6))
    assert np.all(other.kt_fit != one.kt_fit)
