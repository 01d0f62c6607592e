import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner

from raysieve import cli
from sim.corona.sets import blocks, write_set
from sim.corona.truth import Setting
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument, shipped
from stream.corona.lines import shipped_lines
from stream.errors import ConfigError, ModelError
from stream.messages import Product
from stream.stages.classify_corona import ClassifyCorona
from stream.transport.corona_products import read_spectra
from stream.wiring import build_corona

HETG = shipped("hetg")
SHIPPED_LINES = shipped_lines()


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
    assert rows["SEEN"].any()
    assert (rows["KEPT"] == 1).all()
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
    assert "corona " in said.output
    assert "of hetg" in said.output
    wide = np.linspace(5, 30, 101)
    table = Table({"lo_a": wide[:-1], "hi_a": wide[1:], "counts": np.ones(100), "area_cm2": np.ones(100)})
    table.meta["exposure_s"] = 1e4
    table.write(tmp_path / "wide.ecsv")
    with pytest.raises(ConfigError, match=r"wide.ecsv: 100 bins .* expected hetg: .* letg: .* euv: "):
        CliRunner().invoke(cli, ["coronae", str(tmp_path / "wide.ecsv"), "-o", "x"], catch_exceptions=False)
    (tmp_path / "bad.h5").write_text("no")
    with pytest.raises(ConfigError, match="expected a set"):
        read_spectra(tmp_path / "bad.h5", 0, ".")


def test_the_network_is_that_of_the_grid(tmp_path):
    for name in ("letg", "euv"):
        path = tmp_path / f"{name}.h5"
        list(write_set(path, Forward.through(shipped(name)), Setting(snr=(5, 10)), 4, 3))
        _, made = ClassifyCorona().process(read_spectra(path, 0, "."))
        assert made.header["INSTRUME"] == name
        assert (made.tables["CORONAE"]["FLAG"] == 0).any()


def test_a_spectrum_of_finer_bins_is_put_into_the_grid_and_an_offset_taken_off(path, tmp_path):
    edges = np.linspace(1.2, 31.0, 5961)
    area = np.interp(0.5 * (edges[1:] + edges[:-1]), HETG.middle_a, HETG.area_cm2)
    fine = Forward.through(Instrument.of("fine", edges, area, 0.023))
    block = next(blocks(fine, Setting(shares=(1, 0, 0), snr=(14, 15)), 20, 5))
    row = int(np.argmin(np.abs(block.truth.rows["log_t"] - 6.6)))
    table = Table({"lo_a": edges[:-1] + 0.05, "hi_a": edges[1:] + 0.05, "counts": block.counts[row], "area_cm2": area})
    table.meta["exposure_s"] = float(block.truth.rows["exposure_s"][row])
    table.write(tmp_path / "star.ecsv")
    given = read_spectra(tmp_path / "star.ecsv", 0, ".", 0.05)
    rows = [list(ClassifyCorona(seed=seed).process(given))[1].tables["CORONAE"] for seed in (1, 1)]
    assert rows[0][0]["FLAG"] == 0
    assert rows[0][0]["LOG_T"] == rows[1][0]["LOG_T"] == pytest.approx(block.truth.rows["log_t"][row], abs=0.1)
    assert rows[0][0]["LOG_NORM"] == pytest.approx(block.truth.rows["log_norm"][row], abs=0.4)
    moved = list(ClassifyCorona().process(read_spectra(tmp_path / "star.ecsv", 0, ".")))[1].tables["CORONAE"]
    assert moved[0]["FLAG"] > 0
    said = CliRunner().invoke(cli, ["coronae", str(tmp_path / "star.ecsv"), "-o", str(tmp_path)])
    assert "most like log T" in " ".join(said.output.split())


def test_priors_are_those_that_a_population_takes(path, tmp_path):
    out = tmp_path / "prior.npz"
    said = CliRunner().invoke(cli, ["coronae", str(path), "-o", str(tmp_path), "--prior", str(out)])
    assert said.exit_code == 0, said.output
    with fits.open(tmp_path / "coronae.fits") as file, np.load(out) as held:
        rows = file["CORONAE"].data
        given = {name: held[name] for name in held.files}
    known = rows["FLAG"] == 0
    assert ((given["present"] >= 0.5) & (given["present"] <= 1)).all()
    assert (given["present"][~known] == 1).all()
    np.testing.assert_allclose(given["weights"].sum(axis=1), 1, atol=1e-5)
    mean = (given["weights"][..., None] * given["means"]).sum(axis=1)
    np.testing.assert_allclose(mean[known, 0], rows["LOG_T"][known], atol=1e-3)
    assert (np.linalg.eigvalsh(given["covariances"]) > 0).all()
    names = [f"{ion} {at:.3f}" for ion, at in zip(SHIPPED_LINES.ion, SHIPPED_LINES.wavelength_a, strict=True)]
    assert set(given["lines"].tolist()) <= set(names)
    args = ["coronae", str(path), str(tmp_path / "x.h5"), "-o", "x", "--prior", str(out)]
    with pytest.raises(ConfigError, match="one file"):
        CliRunner().invoke(cli, args, catch_exceptions=False)


def test_a_model_of_another_kind_is_called_what_it_is():
    with pytest.raises(ModelError, match=r"crosscal: no network of coronae \(crosscal\); expected one, as corona, "):
        build_corona("crosscal")
    with pytest.raises(ModelError, match=r"islands: no network of coronae \(a model that takes candidate"):
        build_corona("islands")
