"""Products as a daemon and its commands write them, for the page."""

import numpy as np

from stream.crosscal.pairs import PAIR
from stream.crosscal.watch import Watch
from stream.lat.bands import BANDS
from stream.lat.cube import MISSION, Sky
from stream.messages import Product
from stream.stages.monitor_calibration import MonitorCalibration
from stream.transport.gcn import write_notices
from stream.transport.lat_publish import Found, publish
from stream.transport.sky_files import write_window
from tests.stream.lat.catalogues import detections, even
from tests.stream.lat.skies import stream
from tests.stream.lat.test_flare import flaring
from tests.stream.stages.test_alert import stage, window

CLASSES = ("AGN", "star", "CV")
BINS = 40


def sources(number, classes=CLASSES):
    """Return a product "sources", the last of them the brightest; of the first two there are fits."""
    kinds = [("ID", "<i4"), ("X", "<f8"), ("Y", "<f8"), ("NET_COUNTS", "<f8"), ("LOG_FLUX", "<f4"), ("P", "<f4", (3,))]
    table = np.zeros(number, kinds)
    table["ID"], table["NET_COUNTS"] = np.arange(1, number + 1), np.arange(number)
    table["LOG_FLUX"], table["P"] = np.nan, [0.2, 0.7, 0.1]
    header = {"EXPOSURE": 60.0, "MODEL": "sources", **{f"CLASS{k}": name for k, name in enumerate(classes)}}
    tables = {"SOURCES": table, "FITTED": fitted(2)}
    return Product(stream="s", kind="sources", sequence=0, time_ns=0, header=header, tables=tables)


def fitted(number):
    """Return FITTED of so many sources: a falling spectrum, as counted and as a model has it."""
    columns = ("E_LO", "E_HI", "COUNTS", "BACKGROUND", "MODEL")
    table = np.zeros(number, [("ID", "<i4"), ("BINS", "<i4"), *((name, "<f4", (BINS + 2,)) for name in columns)])
    edges = np.linspace(0.5, 8.0, BINS + 1)
    for k, row in enumerate(table):
        row["ID"], row["BINS"] = k + 1, BINS
        model = 200 * (k + 1) / edges[:-1] ** 1.7
        values = edges[:-1], edges[1:], np.random.default_rng(k).poisson(model + 3), np.full(BINS, 3.0), model
        for name, column in zip(columns, values, strict=True):
            row[name] = np.nan
            row[name][:BINS] = column
    return table


def coronae(number, name="HR 1099"):
    """Return a product "coronae"; the second is flagged."""
    names = ("LOG_T", "LOG_T_SD", "LOG_N", "LOG_N_SD", "LOG_NORM", "P_ONE", "P_TWO", "P_CONTINUOUS")
    table = np.zeros(number, [("NAME", "S40"), *((one, "<f4") for one in names), ("FLAG", "<i4")])
    rng = np.random.default_rng(7)
    table["NAME"], table["FLAG"][1:2] = name.encode(), 2
    table["LOG_T"], table["LOG_T_SD"] = rng.uniform(6.3, 7.3, number), 0.03
    table["LOG_N"], table["LOG_N_SD"] = rng.uniform(10, 12, number), 0.3
    tables = {"CORONAE": table, "LINES": np.zeros(1, [("ION", "S4")])}
    return Product(stream="s", kind="coronae", sequence=0, time_ns=0, header={}, tables=tables)


def calibration(moved=0.12, number=60):
    """Return a product "calibration" of fits of which the second half is off by a share."""
    rng = np.random.default_rng(3)
    stage_ = MonitorCalibration(Watch(window_s=number / 2))
    rows = np.zeros(number, PAIR)
    kt = np.exp(rng.uniform(np.log(1.2), np.log(12), number))
    rows["NAME"], rows["TIME"] = [f"A{k}".encode() for k in range(number)], np.arange(number)
    off = 1 + moved * (np.arange(number) >= number / 2)
    for k, truth in enumerate((kt, kt * off)):
        rows[f"KT_{k}"], rows[f"KT_{k}_ERR"] = truth * np.exp(rng.normal(0, 0.02, number)), 0.02 * truth
    made = None
    for k in range(6):
        tables = {"FITS": rows[: (k + 1) * number // 6]}
        given = Product(stream="x", kind="fits", sequence=k, time_ns=0, header={}, tables=tables)
        _, made = stage_.process(given)
    return made


def gamma_ray_sky(folder):
    """Write the mission's map, 12 detections and two alerts into a folder; return photons, and l of the detections."""
    sky = Sky()
    for message in list(stream(2_000)[1].messages())[1:-1]:
        tables, span = message.tables, (message.header["TSTART"], message.header["TSTOP"])
        sky.add(tables["PHOTONS"], tables["GTI"], tables["POINTING"], *span)
    (folder / "sky").mkdir()
    mission = sky.windows()[MISSION]
    write_window(folder / "sky" / "mission.fits", mission, None, {})
    lon, lat = even(12, np.random.default_rng(5))
    rows = detections(lon, lat, np.linspace(25, 900, 12))
    publish(folder / "sky" / "mission", Found(rows), {"WINDOW": "mission"})
    flares = window(np.concatenate([flaring(), flaring(lon=90, ts=50)]))
    write_notices(list(stage().process(flares))[1], folder / "sky" / "alerts")
    return sum(int(mission.counts(channel).sum()) for channel in range(2 * BANDS)), lon
