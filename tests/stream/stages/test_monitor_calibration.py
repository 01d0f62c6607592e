import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner

from raysieve import cli
from stream.crosscal.pairs import PAIR
from stream.crosscal.watch import Watch
from stream.errors import ConfigError, ModelError
from stream.judges.crosscal import Emulator
from stream.messages import Product
from stream.stages.monitor_calibration import (
    AT_EDGE,
    BEYOND,
    DRIFTED,
    FEW_FITS,
    POOR,
    MonitorCalibration,
    as_words,
)
from stream.transport.temperatures import as_products, read_temperatures
from stream.wiring import CALIBRATION, build_calibration

NONE, SOFT = (1.8, 1.0, 0.0), (1.8, 1.0, -0.08)
ERRORS = (0.02, 0.03)


@pytest.fixture(scope="module")
def judge():
    return Emulator()


def rows_of(judge, thetas, seed=0, first=0.0, errors=ERRORS):
    """Fits of clusters, one a second; thetas: (n, 3)."""
    rng, n = np.random.default_rng(seed), len(thetas)
    kt = np.exp(rng.uniform(np.log(1.2), np.log(12), n))
    rows = np.zeros(n, PAIR)
    rows["NAME"] = [f"A{seed}-{k}".encode() for k in range(n)]
    rows["TIME"] = first + np.arange(n)
    rows["KT_0"] = kt * np.exp(rng.normal(0, errors[0], n))
    rows["KT_1"] = kt * np.exp(judge.ln_ratio(np.array(thetas), kt)[:, 0] + rng.normal(0, errors[1], n))
    for k in range(2):
        rows[f"KT_{k}_ERR"] = errors[k] * rows[f"KT_{k}"]
    return rows


def product(rows, number=0):
    return Product(stream="x", kind="fits", sequence=number, time_ns=0, header={}, tables={"FITS": rows})


def made_by(stage, rows, number=0):
    passed, made = stage.process(product(rows, number))
    assert passed.kind == "fits"
    assert (made.kind, made.sequence) == ("calibration", number)
    return made.tables


def test_a_step_is_found_where_it_is_and_the_correction_is_inferred(judge):
    stage = MonitorCalibration(Watch(window_s=30))
    rows = rows_of(judge, [NONE] * 60 + [SOFT] * 30)
    before = made_by(stage, rows[:60])
    assert not before["DRIFT"]["FLAG"][0] & DRIFTED
    tables = made_by(stage, rows[60:], 1)
    newest = tables["DRIFT"][-1]
    assert len(tables["DRIFT"]) == 2
    assert newest["FLAG"] & DRIFTED
    assert newest["P"] < 1e-3
    truth = np.expm1(judge.ln_ratio(SOFT, newest["KT"])[:, 0])
    assert (np.abs(newest["DT"] - truth) < 3 * newest["DT_ERR"]).all()
    whole, reference, window = tables["CALIBRATION"]
    assert [row["SET"] for row in (whole, reference, window)] == [b"whole", b"reference", b"window"]
    assert [int(row["FITS"]) for row in (whole, reference, window)] == [90, 60, 30]
    assert (reference["START"], reference["STOP"], window["START"]) == (0, 59, 60)
    assert (np.abs(window["DT"] - truth) < 3 * window["DT_ERR"]).all()
    assert (np.abs(reference["DT"]) < 3 * reference["DT_ERR"]).all()
    assert not window["FLAG"] & (FEW_FITS | POOR | BEYOND)
    assert 0.3 < window["CHI2"] / window["DOF"] < 2
    np.testing.assert_allclose(window["THETA_SD"] ** 2, np.diag(window["COVARIANCE"]))
    assert [row["NAME"] for row in tables["PARAMETERS"]] == [name.encode() for name in judge.names]
    assert stage.counters["drifted"] == 1
    assert list(stage.flush()) == []


def test_a_fixed_reference_and_a_new_fit_in_the_place_of_an_old_one(judge):
    stage = MonitorCalibration(Watch(window_s=10, reference_s=20))
    rows = rows_of(judge, [NONE] * 50)
    wrong = rows[5:6].copy()
    wrong["KT_1"] *= 3
    one = made_by(stage, np.concatenate([rows[:5], wrong, rows[6:]]))
    assert one["CALIBRATION"]["FLAG"][1] & POOR
    assert one["CALIBRATION"]["FITS"].tolist() == [50, 21, 10]
    two = made_by(stage, rows[5:6], 1)
    assert two["CALIBRATION"]["FITS"].tolist() == [50, 21, 10]
    assert not two["CALIBRATION"]["FLAG"][1] & POOR
    assert stage.counters["replaced"] == 1


def test_fewer_fits_than_parameters_leave_the_prior_and_say_so(judge):
    stage = MonitorCalibration()
    rows = rows_of(judge, [SOFT] * 2)
    tables = made_by(stage, rows)
    window = tables["CALIBRATION"][2]
    assert window["FLAG"] & FEW_FITS
    assert "fewer fits than parameters" in as_words(int(window["FLAG"]))
    low, high = judge.low, judge.high
    assert low[2] < window["THETA"][2] < high[2]
    assert window["THETA_SD"][2] == pytest.approx((high[2] - low[2]) / 2 / np.sqrt(3))
    assert tables["DRIFT"]["FLAG"][0] & FEW_FITS
    assert tables["DRIFT"]["P"][0] == 1
    none = made_by(MonitorCalibration(), rows[:0])
    assert none["CALIBRATION"]["FITS"].tolist() == [0, 0, 0]
    assert np.isnan(none["DRIFT"]["TIME"][0])


def test_what_is_no_temperature_or_beyond_the_grid_is_left_out_and_flagged(judge):
    stage = MonitorCalibration(Watch(window_s=1e3))
    rows = rows_of(judge, [NONE] * 20)
    rows["KT_0"][3], rows["KT_1_ERR"][4], rows["TIME"][5], rows["KT_0"][6] = np.nan, 0.0, np.nan, 60.0
    window = made_by(stage, rows)["CALIBRATION"][2]
    assert (window["FITS"], window["SKIPPED"]) == (16, 3)
    assert window["FLAG"] & BEYOND
    assert stage.counters["without_time"] == 1
    far = rows_of(judge, [NONE] * 40, 1, 2e3)
    far["KT_1"] = far["KT_0"] * np.exp(0.9 * np.log(far["KT_0"]))
    assert made_by(stage, far, 1)["CALIBRATION"]["FLAG"][2] & AT_EDGE


def test_other_messages_pass_and_settings_that_cannot_be_are_refused(judge):
    stage = build_calibration(Watch())
    assert stage.name == CALIBRATION[0].stage
    other = Product(stream="x", kind="spectra", sequence=0, time_ns=0, header={}, tables={})
    assert list(stage.process(other)) == [other]
    for settings, text in (
        ({"kt_kev": (5.0, 100.0)}, "kt_kev"),
        ({"window_s": 0.0}, "window_s"),
        ({"alarm_p": 2.0}, "alarm_p"),
    ):
        with pytest.raises(ConfigError, match=text):
            MonitorCalibration(Watch(**settings))
    with pytest.raises(ModelError, match="kind: expected crosscal"):
        MonitorCalibration(Watch(model="lat_localise"))


def table_of(rows, path):
    table = Table({name: rows[name] for name in PAIR.names})
    table["NAME"] = [name.decode() for name in rows["NAME"]]
    table.write(path, overwrite=True)
    return path


def test_the_command_writes_what_it_found_and_draws_it(judge, tmp_path):
    path = table_of(rows_of(judge, [NONE] * 60 + [SOFT] * 30), tmp_path / "fits.ecsv")
    out = tmp_path / "out"
    args = [
        "monitor-calibration",
        str(path),
        "--window",
        "30",
        "--every",
        "30",
        "--kt",
        "2",
        "--kt",
        "8",
        "-o",
        str(out),
    ]
    said = CliRunner().invoke(cli, args)
    assert said.exit_code == 0, said.output
    assert "1 of 3 looks with an alarm, first at 89 s" in said.output
    with fits.open(out / "calibration.fits") as file:
        assert file["DRIFT"].data["KT"].tolist() == [[2.0, 8.0]] * 3
        assert file["DRIFT"].columns["KT"].unit == "keV"
        assert file["CALIBRATION"].header["FAMILY"] == judge.family.name
        assert len(file["PARAMETERS"].data) == 3
    assert (out / "drift.png").stat().st_size > 10_000


def test_tables_that_cannot_be_followed_are_refused_in_one_line(judge, tmp_path):
    rows = rows_of(judge, [NONE] * 5)
    assert len(list(as_products(tmp_path / "x", rows, 0))) == 5
    assert [len(one.tables["FITS"]) for one in as_products(tmp_path / "x", rows, 2.0)] == [2, 2, 1]
    back = read_temperatures(table_of(rows[::-1], tmp_path / "fits.fits"))
    np.testing.assert_array_equal(back, rows)
    for column, value, text in (
        ("KT_1", np.nan, r"row 3 \(A0-2\): KT_1 nan: expected a number above 0"),
        ("KT_0_ERR", -1.0, "KT_0_ERR -1: expected 0 or more"),
        ("KT_1_ERR", 0.0, "KT_1_ERR 0: expected a number above 0"),
        ("TIME", np.inf, "TIME inf: expected a number"),
    ):
        bad = rows.copy()
        bad[column][2] = value
        with pytest.raises(ConfigError, match=text):
            read_temperatures(table_of(bad, tmp_path / "bad.ecsv"))
    Table({"NAME": ["a"], "KT_0": [1.0]}).write(tmp_path / "few.ecsv")
    with pytest.raises(ConfigError, match="column TIME, KT_0_ERR, KT_1, KT_1_ERR missing"):
        read_temperatures(tmp_path / "few.ecsv")
    (tmp_path / "no.fits").write_text("no")
    with pytest.raises(ConfigError, match="expected a table"):
        read_temperatures(tmp_path / "no.fits")
    args = ["monitor-calibration", str(table_of(rows[:0], tmp_path / "none.ecsv")), "-o", str(tmp_path)]
    with pytest.raises(ConfigError, match="no rows"):
        CliRunner().invoke(cli, args, catch_exceptions=False)
