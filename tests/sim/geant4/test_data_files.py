import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from config.errors import ConfigError
from sim.geant4 import data_files
from sim.geant4.data_files import ELEMENTS, FOLDERS, VERSION, default_folder, provide, variables
from sim.geant4.electron_data import ENERGY_MEV, SHARE, scaled_spectrum
from sim.geant4.nuclear_data import capture_mb, elastic_mb, inelastic_mb, photonuclear_mb
from tests.sim.geant4.conftest import ROOT

EXPECTED = [
    "G4ENSDFSTATE/ENSDFSTATE.dat",
    *(f"G4EMLOW/brem_SB/br{z}" for z in ELEMENTS),
    *(f"G4EMLOW/epics2017/phot/pe-{kind}-{z}.dat" for z in ELEMENTS for kind in ("cs", "low", "high")),
    *(f"G4EMLOW/epics2017/phot/pe-{kind}-{z}.dat" for z in ELEMENTS[1:] for kind in ("ss-cs", "le-cs")),
    *(f"G4EMLOW/epics2017/rayl/re-cs-{z}.dat" for z in ELEMENTS),
    *(f"G4PARTICLEXS/neutron/{kind}{z}" for kind in ("inel", "el", "cap") for z in range(1, 93)),
    *(f"G4PARTICLEXS/gamma/inel{z}" for z in range(1, 95)),
]


def table(path):
    """Return energy (MeV) and value of a table with a header of its limits."""
    return np.loadtxt(path, skiprows=2).T


def test_every_file_that_geant4_asks_for_is_there(data_files):
    assert [name for name in EXPECTED if not (data_files / name).is_file()] == []
    assert all((data_files / below).is_dir() for below in FOLDERS.values())
    assert (data_files / "complete").read_text() == VERSION
    assert data_files == default_folder()
    assert variables(data_files)["G4LEDATA"] == str(data_files / "G4EMLOW")


def test_they_are_written_once(data_files):
    before = (data_files / "complete").stat().st_mtime_ns
    assert provide(data_files) == data_files
    assert (data_files / "complete").stat().st_mtime_ns == before


@pytest.mark.usefixtures("data_files")
def test_nothing_is_there_before_all_is_written(tmp_path, monkeypatch):
    def full(folder, elements):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data_files.photon_data, "write", full)
    with pytest.raises(ConfigError, match=r"Geant4 data folder .*: cannot be written \(No space left on device\)"):
        provide(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"expected a folder that can be written .* set RAYSIEVE_CACHE or --data"):
        provide(tmp_path / "file" / "data")


@pytest.mark.usefixtures("data_files")
def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="cannot be written"):
        provide(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
    assert [path for path in tmp_path.parent.iterdir() if path.name.startswith("writing-")] == []


def test_files_of_another_version_are_refused(tmp_path):
    (tmp_path / "complete").write_text("geant4-10.7-1")
    with pytest.raises(ConfigError, match=f"expected files of {VERSION}, these are of 'geant4-10.7-1'"):
        provide(tmp_path)


def test_the_user_chooses_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSIEVE_CACHE", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine" / "raysieve" / VERSION
    monkeypatch.delenv("RAYSIEVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "raysieve" / VERSION


@pytest.mark.parametrize("missing", ["xraylib", "geant4_pybind"])
def test_without_the_extra_the_user_is_told_how_to_install_it(missing, data_files, tmp_path):
    """The import fails as it does where the package is not installed."""
    data = tmp_path / "data" if missing == "xraylib" else data_files
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = {['simulate', 'hits', str(tmp_path / 'h.h5')]}"
    code += f" + ['--aimed', '1', '--workers', '1', '--data', {str(data)!r}]; import raysieve; raysieve.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith(f"raysieve: {missing} cannot be imported")
    assert "pip install -e '.[sim]'" in line
    assert not (tmp_path / "h.h5").exists()
    assert not (tmp_path / "data").exists()


def photoelectric(folder, element, kev):
    """Return the cross-section in barn as Geant4 reads it: polynomials of 1/E above, E^3 sigma below."""
    energy = kev * 1e-3
    for kind in ("high", "low"):
        lines = (folder / f"pe-{kind}-{element}.dat").read_text().splitlines()
        if energy >= float(lines[0].split()[2]):
            return sum(c / energy ** (i + 1) for i, c in enumerate(map(float, lines[-1].split()[1:])))
    at, value = table(folder / f"pe-cs-{element}.dat")
    assert (np.diff(at) > 0).all()
    if energy < at[0]:
        at, value = table(folder / f"pe-le-cs-{element}.dat")
    assert at[0] <= energy <= at[-1]
    return np.exp(np.interp(np.log(energy), np.log(at), np.log(value))) / energy**3


@pytest.mark.parametrize("element", ELEMENTS[1:])
@pytest.mark.parametrize("kev", [0.5, 6.0, 30.0, 70.0, 85.0, 100.0, 300.0, 499.0, 700.0])
def test_the_photoelectric_effect_is_xraylibs(element, kev, data_files):
    xraylib = pytest.importorskip("xraylib")
    ours = photoelectric(data_files / "G4EMLOW" / "epics2017" / "phot", element, kev)
    assert ours == pytest.approx(xraylib.CSb_Photo(element, kev), rel=0.01)


def test_far_above_the_tables_it_stays_positive_and_falls(data_files):
    folder = data_files / "G4EMLOW" / "epics2017" / "phot"
    for element in ELEMENTS:
        far = [photoelectric(folder, element, kev) for kev in (1e3, 1e4, 1e6, 1e8)]
        assert all(0 < later < before for before, later in pairwise(far))


def test_rayleigh_scattering_falls(data_files):
    energy, value = table(data_files / "G4EMLOW" / "epics2017" / "rayl" / "re-cs-14.dat")
    assert (np.diff(value / energy**2) <= 0).mean() > 0.97


def test_bremsstrahlung_falls_towards_its_tip():
    for element in ELEMENTS:
        for energy in ENERGY_MEV:
            spectrum = scaled_spectrum(element, energy, SHARE)
            assert np.isfinite(spectrum).all()
            assert 0.1 < spectrum[-1] <= spectrum[0] < 35
            assert (np.diff(spectrum) <= 0).all()


RADIATION_LENGTH = [(6, 12.011, 42.70, 0.05), (13, 26.982, 24.01, 0.02), (14, 28.086, 21.82, 0.02)]  # A, g/cm2: PDG


@pytest.mark.parametrize(("element", "mass", "length", "error"), [*RADIATION_LENGTH, (79, 196.97, 6.46, 0.1)])
def test_the_loss_of_fast_electrons_is_that_of_the_radiation_length(element, mass, length, error):
    loss_mb = np.trapezoid(scaled_spectrum(element, 1e4, SHARE), SHARE)  # beta^2 / Z^2 / E of what is lost
    assert 1 / (6.02214e23 / mass * element**2 * loss_mb * 1e-27) == pytest.approx(length, rel=error)


def test_slow_electrons_follow_borns_approximation_in_its_limit():
    """beta^2 / Z^2 k dsigma/dk = 16/3 alpha r_e^2 ln((p0 + p) / (p0 - p)), and Sommerfeld."""
    share, energy, charge = np.array([0.3, 0.5, 0.7, 0.9]), 0.01, 6
    ratio = np.sqrt(1 - share)
    beta = np.sqrt(1 - 1 / (1 + energy / 0.511) ** 2)
    strength = [2 * np.pi * charge / 137.036 / beta / p for p in (1.0, ratio)]
    sommerfeld = strength[1] / (1 - np.exp(-strength[1])) / (strength[0] / (1 - np.exp(-strength[0])))
    born = 16 / 3 * 0.5795 * np.log((1 + ratio) / (1 - ratio)) * sommerfeld * (1 + 1 / charge)
    assert scaled_spectrum(charge, energy, share) == pytest.approx(born, rel=0.1)


def test_neutrons_and_photonuclear_reactions_are_of_their_known_size():
    at = np.array([100.0, 1000.0])
    assert inelastic_mb(27, at) == pytest.approx([45 * 27**0.7] * 2, rel=0.1)
    assert inelastic_mb(27, np.array([1.0]))[0] < 1e-6
    assert inelastic_mb(1, at).max() < 1e-6
    assert (elastic_mb(27, np.geomspace(1e-5, 2e4, 99)) > 0).all()
    assert elastic_mb(1, np.array([1e-4]))[0] == pytest.approx(20e3, rel=0.05)
    assert capture_mb(np.array([2.5e-8, 1e-6])) == pytest.approx([200, 200 / np.sqrt(40)])
    energy = np.linspace(6, 130, 1000)
    section = photonuclear_mb(13, 27, energy)
    assert energy[section.argmax()] == pytest.approx(31.2 / 3 + 20.6 * 27 ** (-1 / 6), abs=1.0)
    assert np.trapezoid(section, energy) == pytest.approx(60 * 14 * 13 / 27, rel=0.25)


def test_nuclear_tables_are_in_geant4s_units(data_files):
    first, last, n, again, *pairs = np.fromstring(
        (data_files / "G4PARTICLEXS" / "neutron" / "inel13").read_text(), sep=" "
    )
    assert n == again == len(pairs) / 2
    energy, section = np.reshape(pairs, (-1, 2)).T
    assert (first, last) == pytest.approx((energy[0], energy[-1]))
    assert np.interp(14.0, energy, section) == pytest.approx(inelastic_mb(27, np.array([14.0]))[0] * 1e-25, rel=0.02)
