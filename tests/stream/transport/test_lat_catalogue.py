import numpy as np
import pytest
from astropy.io import fits
from scipy.integrate import quad

from stream.errors import ConfigError
from stream.transport.lat_catalogue import read_catalogue

DENSITY = "ph cm-2 MeV-1 s-1"
PIVOT, FACTOR, BEND, INDEX = 2000.0, 0.0072, 0.66, 1.3  # one cut-off, as DR2 and as DR3 write it


def column(name, values, unit=None, form="E"):
    return fits.Column(name, form, unit, array=values)


def cutoff(version):
    if version == "old":
        return [
            column("PLEC_Index", [INDEX] * 3),
            column("PLEC_Expfactor", [FACTOR] * 3),
            column("PLEC_Exp_Index", [BEND] * 3),
        ]
    local = FACTOR * BEND * PIVOT**BEND
    return [
        column("PLEC_IndexS", [INDEX + local] * 3),
        column("PLEC_ExpfactorS", [local * BEND] * 3),
        column("PLEC_Exp_Index", [BEND] * 3),
    ]


def written(path, version="old", class_name="CLASS1", pivot_unit="MeV", drop=()):
    rows = [
        column("Source_Name", ["4FGL J0000.3-7355", "4FGL J0001.2+4741 ", "4FGL J0534.5+2200"], form="18A"),
        column("GLON", [307.7, np.nan, 184.6], "deg"),
        column("GLAT", [-42.7, -14.0, -5.8], "deg"),
        column("Conf_95_SemiMajor", [0.05, 0.1, np.nan], "deg"),
        column("Signif_Avg", [6.9, 4.5, np.nan]),
        column("Pivot_Energy", [PIVOT, 1000.0, PIVOT], pivot_unit),
        column("SpectrumType", ["PowerLaw", "LogParabola ", "PLSuperExpCutoff"], form="17A"),
        column("Flux_Band", np.full((3, 2), 1e-9), "ph cm-2 s-1", "2E"),
        column("Unc_Flux_Band", [[[-1e-10, 2e-10], [np.nan, 3e-10]]] * 3, "ph cm-2 s-1", "4E"),
        column(class_name, ["msp  " if version == "new" else "bcu", "", "PSR "], form="5A"),
        column("Extended_Source_Name", ["", "", "Crab IC"], form="18A"),
        column("Flags", [0, 4, 8192], form="J"),
    ]
    for shape in ("PL", "LP", "PLEC"):
        rows.append(column(f"{shape}_Flux_Density", [1e-13] * 3, DENSITY))
    rows += [column("PL_Index", [2.1] * 3), column("LP_Index", [2.1] * 3), column("LP_beta", [0.1] * 3)]
    table = fits.BinTableHDU.from_columns(
        [one for one in (*rows, *cutoff(version)) if one.name not in drop], name="LAT_Point_Source_Catalog"
    )
    bounds = [column("LowerEnergy", [100, 100, 1000], "MeV"), column("UpperEnergy", [1000, 1000, 3000], "MeV")]
    edges = fits.BinTableHDU.from_columns(bounds, name="EnergyBounds")
    fits.HDUList([fits.PrimaryHDU(), table, edges]).writeto(path)
    return path


@pytest.mark.parametrize(("version", "class_name"), [("old", "CLASS1"), ("new", "CLASS")])
def test_every_version_gives_the_same_rows(tmp_path, version, class_name):
    catalogue = read_catalogue(written(tmp_path / "gll_psc_v00.fit", version, class_name))
    assert len(catalogue) == 2
    assert catalogue.counters == {"no place or no spectrum": 1, "no position error": 1, "no significance": 1}
    assert catalogue.band_mev.tolist() == [[100, 1000], [1000, 3000]]
    first, second = catalogue.rows
    assert (first["name"], first["class"], first["group"]) == (
        "4FGL J0000.3-7355", *(("bcu", "BCU") if version == "old" else ("msp", "PSR"))
    )  # fmt: skip
    assert (first["identified"], second["identified"], second["extended"], second["flags"]) == (
        False, True, True, 8192
    )  # fmt: skip
    assert first["flux_band_error"][0].tolist() == pytest.approx([1e-10, 2e-10])
    assert np.isnan(first["flux_band_error"][1, 0])
    assert second["shape"] == "PLEC"
    by_hand = quad(lambda e: 1e-13 * (e / PIVOT) ** -INDEX * np.exp(FACTOR * (PIVOT**BEND - e**BEND)), 1e3, 1e5)[0]
    assert second["flux1000"] == pytest.approx(by_hand, rel=1e-5)
    by_hand = quad(lambda e: 1e-13 * (e / PIVOT) ** -2.1, 1e3, 1e5)[0]
    assert first["flux1000"] == pytest.approx(by_hand, rel=1e-5)
    assert first["spectrum"].shape == (6, 9)


def test_other_files_and_units_are_refused(tmp_path):
    cases = {
        "unit ev; expected one with MeV or GeV": written(tmp_path / "unit.fit", pivot_unit="eV"),
        "no column Signif_Avg": written(tmp_path / "column.fit", drop=("Signif_Avg",)),
        "PLEC_IndexS": written(tmp_path / "plec.fit", "new", drop=("PLEC_ExpfactorS",)),
    }
    empty = tmp_path / "empty.fit"
    fits.PrimaryHDU().writeto(empty)
    text = tmp_path / "text.fit"
    text.write_text("no FITS")
    cases |= {"no table LAT_Point_Source_Catalog": empty, "not FITS": text}
    for told, path in cases.items():
        with pytest.raises(ConfigError, match=told.replace("PLEC_IndexS", "PLEC_ExpfactorS")) as fault:
            read_catalogue(path)
        assert path.name in str(fault.value)
    with pytest.raises(ConfigError, match="no such file"):
        read_catalogue(tmp_path / "none.fit")


def test_half_a_catalogue_is_refused(tmp_path):
    whole = written(tmp_path / "whole.fit").read_bytes()
    (tmp_path / "half.fit").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"half.fit: truncated") as fault:
        read_catalogue(tmp_path / "half.fit")
    assert "\n" not in str(fault.value)
