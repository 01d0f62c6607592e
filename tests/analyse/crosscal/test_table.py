"""Tables of clusters: read, or refused by row and column."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from analyse.crosscal.table import check_range, read_clusters
from stream.errors import ConfigError


def table(**columns):
    rows = {"NAME": ["A", "B"], "KT_0": [2.0, 5.0], "KT_0_ERR": [0.1, 0.2], "KT_1": [2.1, 5.5], "KT_1_ERR": [0.1, 0.2]}
    return Table(rows | columns)


@pytest.mark.parametrize("name", ["a.ecsv", "a.csv", "a.fits"])
def test_tables_of_three_formats_are_read(tmp_path, name):
    table().write(tmp_path / name)
    found = read_clusters(tmp_path / name)
    assert found.name == ("A", "B")
    np.testing.assert_allclose(found.kt_1, [2.1, 5.5])
    assert found.others == ()
    assert len(found.take(np.array([False, True]))) == 1


def test_norms_and_columns_are_read_where_all_are_there(tmp_path):
    more = {"NORM_0": [1.0, 2.0], "NORM_0_ERR": [0.1, 0.1], "NORM_1": [1.1, 2.0], "NORM_1_ERR": [0.1, 0.1]}
    nh = {"NH_0": [0.0, 0.1], "NH_0_ERR": [0.03, 0.03], "NH_1": [0.2, 0.3], "NH_1_ERR": [0.04, 0.04]}
    table(**more, **nh).write(tmp_path / "a.ecsv")
    found = read_clusters(tmp_path / "a.ecsv")
    assert found.others == ("ln norm", "nH")
    np.testing.assert_allclose(found.given, [[np.log(1.1), 0.0], [0.2, 0.2]], atol=1e-12)
    np.testing.assert_allclose(found.given_err[1], 0.05)
    assert found.take(np.array([1])).given.shape == (2, 1)
    more.pop("NORM_1_ERR")
    table(**more).write(tmp_path / "b.ecsv")
    with pytest.raises(ConfigError, match="NORM_1_ERR missing"):
        read_clusters(tmp_path / "b.ecsv")


@pytest.mark.parametrize("value", [0.0, -0.1, np.nan, np.inf])
def test_missing_errors_are_refused_by_row_and_column(tmp_path, value):
    table(KT_1_ERR=[0.1, value]).write(tmp_path / "a.ecsv")
    with pytest.raises(ConfigError, match=r"a.ecsv: row 2 \(B\): KT_1_ERR .*expected an error above 0"):
        read_clusters(tmp_path / "a.ecsv")


def test_what_is_masked_or_absent_or_no_number_is_refused(tmp_path):
    table(KT_0_ERR=MaskedColumn([0.1, 0.2], mask=[True, False])).write(tmp_path / "a.ecsv")
    with pytest.raises(ConfigError, match=r"row 1 \(A\): KT_0_ERR"):
        read_clusters(tmp_path / "a.ecsv")
    short = table()
    short.remove_column("KT_1_ERR")
    short.write(tmp_path / "b.ecsv")
    with pytest.raises(ConfigError, match="column KT_1_ERR missing"):
        read_clusters(tmp_path / "b.ecsv")
    table(KT_0=["x", "y"]).write(tmp_path / "c.ecsv")
    with pytest.raises(ConfigError, match="column KT_0: expected numbers"):
        read_clusters(tmp_path / "c.ecsv")
    (tmp_path / "d.ecsv").write_text("no table")
    with pytest.raises(ConfigError, match="no table of clusters"):
        read_clusters(tmp_path / "d.ecsv")
    with pytest.raises(ConfigError, match=r"e\.fits"):
        read_clusters(tmp_path / "e.fits")


def test_temperatures_beyond_the_grid_are_refused_or_flagged(tmp_path):
    table().write(tmp_path / "a.ecsv")
    found = read_clusters(tmp_path / "a.ecsv")
    with pytest.raises(ConfigError, match=r"B: KT_0 5, KT_1 5.5 keV: expected 1 to 4 .* \(1 of 2 rows beyond; --extra"):
        check_range(found, (1.0, 4.0), (1.0, 9.0), False)
    assert check_range(found, (1.0, 4.0), (1.0, 9.0), True).beyond.tolist() == [False, True]
    assert check_range(found, (1.0, 9.0), (1.0, 4.0), True).beyond.tolist() == [False, True]
    assert not check_range(found, (1.0, 9.0), (1.0, 9.0), False).beyond.any()
