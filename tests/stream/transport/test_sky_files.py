import numpy as np
import pytest
from astropy.io import fits

from stream.errors import ConfigError
from stream.lat.bands import BANDS, EDGES_MEV, NSIDE
from stream.lat.builtin import stand_in
from stream.lat.cube import MISSION, Sky
from stream.lat.exposure import ENERGY_MEV
from stream.lat.snapshot import pack
from stream.transport.sky_files import read_sky, write_sky, write_window
from tests.stream.lat.skies import stream


@pytest.fixture(scope="module")
def sky():
    made = Sky()
    for message in list(stream(20_000)[1].messages())[1:-1]:
        t, span = message.tables, (message.header["TSTART"], message.header["TSTOP"])
        made.add(t["PHOTONS"], t["GTI"], t["POINTING"], *span)
    return made


@pytest.mark.parametrize("name", [MISSION, "day"])
def test_a_map_file_holds_the_counts_of_each_band_at_its_own_resolution(sky, tmp_path, name):
    window = sky.windows()[name]
    exposure = window.exposure(stand_in())
    write_window(tmp_path / "w.fits", window, exposure, {"OBS_ID": "made"})
    with fits.open(tmp_path / "w.fits", checksum=True) as hdus:
        bands = hdus["BANDS"].data
        assert hdus["BANDS"].columns["E_MIN"].unit == "keV"
        np.testing.assert_allclose(bands["E_MAX"], np.array(EDGES_MEV[1:]) * 1000)
        assert bands["NSIDE"].tolist() == list(NSIDE)
        for kind, hdu in enumerate((hdus["FRONT"], hdus["BACK"])):
            cards = {"PIXTYPE": "HEALPIX", "ORDERING": "RING", "COORDSYS": "GAL", "INDXSCHM": "SPARSE"}
            assert all(hdu.header[key] == value for key, value in cards.items())
            assert hdu.header["BANDSHDU"] == "BANDS"
            for band in range(BANDS):
                rows = hdu.data[hdu.data["CHANNEL"] == band]
                dense = np.zeros(12 * NSIDE[band] ** 2, int)
                dense[rows["PIX"]] = rows["VALUE"]
                np.testing.assert_array_equal(dense, window.counts(2 * band + kind))
            maps = hdus[f"{hdu.name}_EXPOSURE"].data
            np.testing.assert_array_equal(maps["CHANNEL3"], exposure.cm2_s[kind, 3, 4])
        np.testing.assert_allclose(hdus["NODES"].data["ENERGY"], ENERGY_MEV[:, 4] * 1000, rtol=1e-6)
        assert hdus["GTI"].data["START"].tolist() == window.gti["START"].tolist()
        assert hdus[0].header["ONTIME"] == window.ontime_s


def test_without_exposure_there_is_none_in_the_file(sky, tmp_path):
    write_window(tmp_path / "w.fits", sky.windows()["week"], None, {})
    with fits.open(tmp_path / "w.fits") as hdus:
        assert hdus[0].header["EXPOSURE"] == "none"
        assert [hdu.name for hdu in hdus[1:]] == ["FRONT", "BACK", "BANDS", "GTI"]


def test_gammapy_reads_it(sky, tmp_path):
    maps = pytest.importorskip("gammapy.maps")
    window = sky.windows()["day"]
    write_window(tmp_path / "w.fits", window, window.exposure(stand_in()), {})
    for kind, name in enumerate(("FRONT", "BACK")):
        found = maps.Map.read(tmp_path / "w.fits", hdu=name)
        for band in range(BANDS):
            image = found.data[band][: 12 * NSIDE[band] ** 2]
            np.testing.assert_array_equal(image, window.counts(2 * band + kind))


def test_what_was_counted_is_there_again(sky, tmp_path):
    assert read_sky(tmp_path / "none.h5") is None
    write_sky(tmp_path / "sky.h5", sky)
    ours, theirs = pack(sky), pack(read_sky(tmp_path / "sky.h5"))
    assert ours.keys() == theirs.keys()
    for name, rows in ours.items():
        np.testing.assert_array_equal(rows, theirs[name], err_msg=name)
    content = (tmp_path / "sky.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match=r"cut.h5: "):
        read_sky(tmp_path / "cut.h5")
