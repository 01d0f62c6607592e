import numpy as np
import pytest

from analyse.lat.fit import FLUX, SLOPE
from analyse.lat.source import SEEN_TS, analyse_source, ellipse_of, upper_limit
from stream.lat.patch import to_patch
from stream.lat.scene import UNIT
from tests.analyse.lat.conftest import FLUX as TRUE_FLUX
from tests.analyse.lat.conftest import INDEX, PLACE, set_up
from tests.analyse.lat.skies import counted, sources


@pytest.fixture(scope="module")
def analysis(setup):
    return analyse_source(*setup)


def test_a_source_is_where_it_was_put_as_bright_and_as_steep(analysis, setup):
    found = analysis.models["powerlaw"]
    own = found.parts[0]
    assert abs(own.theta[FLUX] - np.log(TRUE_FLUX / UNIT)) < 3.5 * found.error(0, FLUX)
    assert abs(own.theta[SLOPE] - INDEX) < 3.5 * found.error(0, SLOPE)
    ellipse = ellipse_of(found)
    x, y = to_patch(*PLACE, *PLACE)
    assert np.hypot(*(own.theta[:2] - (float(x), float(y)))) < 2 * ellipse.r95_deg
    assert ellipse.r68_deg < ellipse.r95_deg < 0.1
    assert ellipse.minor_deg <= ellipse.major_deg


def test_its_ts_is_that_of_the_search_within_what_the_background_is_free(analysis):
    assert analysis.ts == pytest.approx(analysis.best.parts[0].ts, rel=0.4)
    for kind in ("logparabola", "plec"):
        assert -0.1 < analysis.curved(kind) < 12
    assert analysis.curved("powerlaw") is None
    assert analysis.limit is None


def test_a_single_model_is_taken_as_it_was_asked_for(setup):
    one = analyse_source(*setup, kinds=("logparabola",))
    assert one.kind == "logparabola"
    assert set(one.models) == {"powerlaw", "logparabola"}


def test_a_cut_off_is_seen(tools, optics):
    from analyse.lat.spectra import at_nodes

    table = sources([8e-9], [PLACE], [2.0])
    table["spectrum"] = at_nodes("plec", np.log(8e-9 / UNIT), 2.0, 0.8)
    one = analyse_source(*set_up(tools, optics, counted(PLACE, table, tools, 2), PLACE, years=1))
    assert one.kind in ("plec", "logparabola")
    assert one.curved("plec") > 9
    bent = one.models["plec"]
    assert abs(bent.parts[0].theta[4] - 0.8) < 3.5 * bent.error(0, 4)


def test_where_nothing_is_there_is_a_limit(tools, optics):
    sky = counted(PLACE, sources([], np.zeros((0, 2)), []), tools, 8)
    one = analyse_source(*set_up(tools, optics, sky, PLACE, years=1))
    assert one.ts < SEEN_TS
    assert one.limit is not None
    assert 1e-11 < UNIT * np.exp(one.limit) < 2e-9
    assert list(one.models) == ["powerlaw"]
    assert ellipse_of(one.best) is None


def test_a_limit_is_where_the_likelihood_has_fallen(setup):
    region, source, others = setup
    from analyse.lat.fit import fit

    found = fit(region, [source.freed(FLUX), *(p.freed() for p in others)])
    at = upper_limit(found)
    own = found.parts[0]
    sigma = found.error(0, FLUX)
    assert at == pytest.approx(own.theta[FLUX] + 1.645 * sigma, abs=0.35 * sigma)
