import numpy as np
from astropy.io.votable.ucd import parse_ucd

from serve.columns import measured
from serve.votable import _PARAMETERS
from stream.imaging.detect import SOURCE
from stream.judges.catalogue import MORE_FEATURES
from stream.judges.sources import FEATURES


def test_every_ucd_is_of_the_vocabulary_and_no_source_gives_no_row():
    names = [*FEATURES, *MORE_FEATURES]
    columns = {name + end: np.empty(0) for name in names for end in ("", "_error")}
    at = {name: np.empty(0) for name in ("x_px", "y_px", "ra_deg", "dec_deg")}
    found = measured(columns, np.empty(0, SOURCE), at)
    for ucd in [column.ucd for column, _ in found] + [column["ucd"] for column in _PARAMETERS]:
        parse_ucd(ucd, check_controlled_vocabulary=True, has_colon=True)
    assert all(values.shape == (0,) for _, values in found)
    assert len({column.name for column, _ in found}) == len(found)
