"""`raysieve simulate sources` and `source-sets`: files that the stream reads again."""

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError, RaysieveError
from config.load import load
from models.sources.dataset import read_sources
from raysieve import cli
from sim.photon_list import PhotonList
from sim.sources.camera import built_in
from sim.sources.field import Setup, make_field
from sim.sources.files import product_of, read_origin, read_photons, read_truth
from sim.sources.sets import Optics, Ranges, make_set
from stream.transport.eventlist import read_event_list

SMALL = ("--pixels", 96, "--exposure-s", 2000, "--density", 0.5)


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in ("simulate", *words)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("field") / "bulge.fits"
    done = run("sources", out, *SMALL, "--number", "LMXB=3", "--seed", 2)
    assert done.exit_code == 0, done.output
    return out


def test_the_event_list_is_one_of_ours(made):
    tables, header = read_event_list(made)
    origin = read_origin(made.with_suffix(".h5"))
    events = tables["EVENTS"]
    assert len(events) == len(origin)
    assert events["DETX"] == pytest.approx(origin["x"])
    assert (np.diff(events["TIME"]) >= 0).all()
    assert (events["RAWX"] >= 0).all()
    assert events["RAWY"].max() < 96
    assert header["EXPOSURE"] == pytest.approx(2000)
    assert tables["GTI"]["STOP"][0] == pytest.approx(2000)
    assert header["PI_EV"] == pytest.approx(20)
    assert (abs(events["ENERGY"] / 20 - 5 - 0.5 - events["PI"]) <= 0.51).all()  # the first channel begins at 100 eV


def test_the_truth_lies_beside_it(made):
    truth = read_truth(made.with_suffix(".h5"))
    assert (truth["class"] == b"LMXB").sum() <= 12
    with h5py.File(made.with_suffix(".h5")) as file:
        assert file["diffuse"].shape == file["exposure"].shape == (96, 96)


def test_photons_enter_the_frame_simulator(made, tmp_path):
    photons = read_photons(made.with_suffix(".h5"))
    layout = load("quick").detector
    source = PhotonList(listed=photons)
    seen = [source.draw(n, layout, np.random.default_rng(n)) for n in range(40)]
    early = photons[photons["time"] < 40 * layout.frame_time_s]
    near = early[(early["x"] < layout.columns - 0.5) & (early["y"] < layout.rows - 0.5)]
    assert sum(len(s[s["quadrant"] == layout.quadrants[0].id]) for s in seen) == len(near)
    words = ("--readouts", 3, "--particles", 0, "--photons-from", made.with_suffix(".h5"))
    done = run("wfi", tmp_path / "a.h5", "--config", "quick", *words)
    assert done.exit_code == 0, done.output


def test_options_beside_a_list_of_photons_are_refused(made, tmp_path):
    words = ("--photons-from", made.with_suffix(".h5"), "--photons", 3)
    done = run("wfi", tmp_path / "a.h5", "--config", "quick", *words)
    assert isinstance(done.exception, RaysieveError)
    assert "--photons-from" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--exposure-s", -1), "exposure_s"),
        (("--number", "LMXB"), "CLASS=N"),
        (("--number", "dwarf=3"), "dwarf"),
        (("--pixels", 1), "pixels"),
        (("--arf", "x.arf"), "--rmf"),
        (("--rmf", "nothing.rmf"), "no such file"),
    ],
)
def test_wishes_that_cannot_be_get_one_line(tmp_path, words, told):
    done = run("sources", tmp_path / "a.fits", *words)
    assert isinstance(done.exception, RaysieveError), done.output
    assert told in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "a.fits").exists()


def test_a_field_is_not_overwritten(made):
    done = run("sources", made, *SMALL)
    assert "--overwrite" in str(done.exception)


def test_a_set_is_a_table_to_train_on_and_does_not_depend_on_the_processes(tmp_path):
    out = tmp_path / "set.h5"
    words = ("--fields", 2, "--pixels", 128, "--exposure-s", 3000, 4000, "--seed", 3)
    done = run("source-sets", out, *words, "--processes", 1)
    assert done.exit_code == 0, done.output
    table = read_sources(out)
    assert len(table) > 5
    assert "photon_index" in table.features
    assert not {"density", "exposure_s", "true_flux", "source", "net_counts"} & set(table.features)
    assert table.sky is None or len(table.sky) == len(table)
    assert run("source-sets", tmp_path / "b.h5", *words, "--processes", 2).exit_code == 0
    with h5py.File(out) as one, h5py.File(tmp_path / "b.h5") as two:
        for name in one:
            if isinstance(one[name], h5py.Dataset) and one[name].ndim == 1:
                assert one[name][()].tobytes() == two[name][()].tobytes()


@pytest.mark.parametrize("change", [{"density": (2.0, 1.0)}, {"exposure_s": (0.0, 1.0)}, {"b_deg": (-99.0, -95.0)}])
def test_absurd_sets_are_refused(change):
    with pytest.raises(ConfigError):
        list(make_set(Optics(), Ranges(**change), 1))


def test_a_product_names_its_response():
    field = make_field(built_in(), Setup(density=0, diffuse=0), 0)
    assert product_of(field, ("/x/a.rmf", "/x/b.arf")).header["RESPFILE"] == "a.rmf"
