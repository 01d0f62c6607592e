import numpy as np
import pytest

from config.errors import ConfigError
from serve.catalogues import _at, _judged, _seen
from sim.sources.camera import built_in
from stream.imaging.image import FWHM
from stream.transport.foreign.sky_list import Frame, exposure_of, frame_of

SKY = {"TTYPE1": "x", "TCTYP1": "RA---TAN", "TCRPX1": 100.0, "TCRVL1": 266.4, "TCDLT1": -1e-4}
SKY |= {"TTYPE2": "y", "TCTYP2": "DEC--TAN", "TCRPX2": 100.0, "TCRVL2": -29.0, "TCDLT2": 1e-4}


def events(**columns):
    table = np.zeros(2, [(name, "f8") for name in columns])
    for name, values in columns.items():
        table[name] = values
    return table


def _frame(table, settings):
    return frame_of(table, {}, settings["coordinates"], settings["bin_px"])


def told(**changes):
    return {"bin_px": 1, "coordinates": "auto"} | changes


def test_places_on_the_sky_come_from_the_keywords_of_the_columns():
    frame = Frame(("X", "Y"), (95.5, 95.5), 2, (10, 10))
    columns = {"x": np.array([1.75, 6.75]), "y": np.array([1.75, 1.75])}
    at = _at(columns, frame, SKY)
    np.testing.assert_allclose(at["x_px"], [100, 110])
    np.testing.assert_allclose(at["dec_deg"], -29, atol=1e-6)
    np.testing.assert_allclose(at["ra_deg"], [266.4, 266.4 - 1e-3 / np.cos(np.radians(29))], atol=1e-6)
    assert "ra_deg" not in _at(columns, frame, {key: SKY[key] for key in SKY if key != "TCRVL2"})


def test_the_image_holds_every_event_in_coarser_pixels_too():
    table = events(X=[10.2, 31.0], Y=[5.0, 6.0], TIME=0.0, ENERGY=[1000.0, np.nan], PI=[50, 60])
    frame = _frame(table, told(bin_px=4))
    assert (frame.names, frame.low, frame.shape) == (("X", "Y"), (9.5, 4.5), (1, 6))
    seen = _seen((table, {}), frame, built_in().response, (100.0, 8.0))
    np.testing.assert_allclose(frame.place(seen.x, 0), [10.2])  # the one with an energy
    assert seen.image(0.5, 8.0).sum() == 1
    assert seen.psf_sigma_px == pytest.approx(2 / FWHM)


def test_channels_and_energies_are_made_of_each_other_where_one_is_missing():
    response = built_in().response
    place = {"X": [1.0, 2.0], "Y": [1.0, 2.0], "TIME": 0.0}
    middle = (response.e_min_kev + response.e_max_kev)[[100, 200]] / 2
    seen = _seen((events(**place, ENERGY=middle * 1000), {}), FRAME, response, (1.0, 4.0))
    np.testing.assert_array_equal(seen.channel, response.channel[[100, 200]])
    epic = {"TELESCOP": "XMM", "INSTRUME": "EMOS1"}  # whose PI is in eV
    seen = _seen((events(**place, PI=np.rint(middle * 1000).astype(int)), epic), FRAME, response, (1.0, 4.0))
    assert seen.channel.tolist() == response.channel[[100, 200]].tolist()
    seen = _seen((events(**place, PI=response.channel[[100, 200]]), {}), FRAME, response, (1.0, 4.0))
    np.testing.assert_allclose(seen.energy_kev, middle)


FRAME = Frame(("X", "Y"), (0.5, 0.5), 1, (4, 4))


def test_lists_that_make_no_image_are_refused():
    with pytest.raises(ConfigError, match=r"bin_px: .* expected 5 or more"):
        _frame(events(X=[0, 9000.0], Y=[0, 1.0]), told())
    with pytest.raises(ConfigError, match="no columns X/Y or DETX/DETY"):
        _frame(events(RAWX=0), told())
    with pytest.raises(ConfigError, match="no column ENERGY, PI or PHA"):
        _seen((events(X=1, Y=1, TIME=0), {}), FRAME, built_in().response, (1.0, 4.0))
    with pytest.raises(ConfigError, match="EXPOSURE nan"):
        exposure_of({"EXPOSURE": float("nan")}, {})
    with pytest.raises(ConfigError, match="no keyword EXPOSURE"):
        exposure_of({}, {})


def test_the_shipped_model_gives_classes_whose_probabilities_add_up():
    columns = {"log_flux": np.array([-12.5, np.nan]), "photon_index": np.array([1.7, 2.5])}
    places = {"x_px": np.zeros(2), "ra_deg": np.full(2, 266.4), "dec_deg": np.full(2, -29.0)}
    given = {column.name: values for column, values in _judged(("sources", 4.0), columns, places, [])}
    assert set(given["class"]) <= {"AGN", "CV", "LMXB", "NS", "diffuse", "star"}
    total = sum(values for name, values in given.items() if name.startswith("p_"))
    np.testing.assert_allclose(total, 1, atol=1e-5)
    notes = []
    assert _judged(("", 4.0), columns, places, notes) == []
    assert notes == ["no classes: the service was started without --model"]
    assert _judged(("sources", 2.0), columns, places, notes) == []
    assert notes[1] == "no classes: sources is made for a PSF of 4.0 pixels, not 2.0"
