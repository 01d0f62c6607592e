import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner

from raysieve import cli
from sim.corona.sets import write_set
from sim.corona.truth import Setting
from stream.corona.forward import Forward
from stream.corona.instrument import shipped
from stream.errors import ConfigError
from stream.messages import Product
from stream.stages.classify_corona import ClassifyCorona
from stream.transport.corona_products import read_spectra

HETG = shipped("hetg")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "coronae.h5"
    list(write_set(out, Forward.through(HETG), Setting(snr=(5, 10)), 12, 31))
    return out


def test_spectra_pass_and_what_is_said_of_them_follows(path):
    stage = ClassifyCorona()
    given = read_spectra(path, 3, ".")
    passed, made = stage.process(given)
    assert passed is given
    assert isinstance(made, Product)
    rows = made.tables["CORONAE"]
    assert (made.kind, made.sequence, len(rows)) == ("coronae", 3, 12)
    known = rows["FLAG"] == 0
    assert known.any()
    assert (rows["LOG_T_LO68"] < rows["LOG_T"])[known].all()
    assert rows["P"].shape == (12, len(made.tables["LINES"]))
    assert stage.counters["spectra"] == 12
    assert list(stage.process(made)) == [made]
    assert list(stage.flush()) == []


def test_the_command_writes_a_table_and_refuses_other_instruments(path, tmp_path):
    said = CliRunner().invoke(cli, ["coronae", str(path), "--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    with fits.open(tmp_path / "coronae.fits") as file:
        assert len(file["CORONAE"].data) == 12
        assert file["CORONAE"].header["INSTRUME"] == "hetg"
    euv = shipped("euv")
    table = Table({"wavelength_a": euv.middle_a, "counts": np.ones(euv.channels), "area_cm2": euv.area_cm2})
    table.meta["exposure_s"] = 1e4
    table.write(tmp_path / "euv.ecsv")
    with pytest.raises(ConfigError, match="expected hetg"):
        CliRunner().invoke(cli, ["coronae", str(tmp_path / "euv.ecsv"), "-o", "x"], catch_exceptions=False)
    (tmp_path / "bad.h5").write_text("no")
    with pytest.raises(ConfigError, match="expected a set"):
        read_spectra(tmp_path / "bad.h5", 0, ".")
