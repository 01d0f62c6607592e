import numpy as np

from config.alert import Alert as Section
from stream.lat.catalogue import Catalogue
from stream.messages import End, Product
from stream.stages.alert import Alert
from tests.stream.lat.test_flare import flaring, known


def window(found, number=0):
    header = {"WINDOW": "day", "TSTART": 7e8, "TSTOP": 7e8 + 86400.0}
    return Product(
        stream="lat", kind="detections", sequence=number, time_ns=0, header=header, tables={"DETECTIONS": found}
    )


def stage():
    return Alert(Section(), Catalogue(known(), np.array([[100.0, 1000.0]] * 7), "gll_psc_v27"))


def test_a_window_with_a_flare_gives_alerts_after_it():
    one = stage()
    given = window(np.concatenate([flaring(), flaring(lon=90)]))
    passed, told = one.process(given)
    assert passed is given
    assert (told.kind, told.sequence, len(told.tables["ALERTS"])) == ("alerts", 0, 2)
    assert told.header["REFCAT"] == "gll_psc_v27"
    assert told.header["TSTART"] == 7e8
    assert dict(one.counters) == {"windows": 1, "flares": 1, "transients": 1}
    assert one.about == {"catalogue": "gll_psc_v27, 2 sources"}


def test_a_quiet_window_other_messages_and_other_tables_pass():
    one = stage()
    quiet, end = window(flaring(flux=1e-9)), End(stream="lat")
    assert list(one.process(quiet)) == [quiet]
    assert list(one.process(end)) == [end]
    strange = window(np.zeros(2, [("x", "<f4")]))
    assert list(one.process(strange)) == [strange]
    assert one.counters["no detections in it"] == 1
    assert list(one.flush()) == []
