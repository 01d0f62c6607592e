"""Sources are looked for only where it is known for how long the instrument looked."""

from config.load import load_any
from stream.lat.builtin import stand_in
from stream.lat.photons import BLOCK_S
from stream.lat.sky import stand_in as diffuse_stand_in
from stream.messages import Product
from stream.wiring import Given, build_sky, sky_rows
from tests.stream.lat.skies import stream


def test_a_window_without_pointing_is_counted_and_not_searched():
    config = load_any("lat", ['localise.windows=["six_hours", "mission"]'])
    given = Given(stand_in(), diffuse_stand_in(), None, None)
    rows = [row.stage for row in sky_rows(config)]
    accumulate, localise = (build_sky(name, config, given) for name in ("accumulate_sky", "localise") if name in rows)
    skies, passed = [], []
    for message in stream(300, 2 * BLOCK_S, pointed=False)[1].messages():
        for one in accumulate.process(message):
            skies += [one] if isinstance(one, Product) else []
            passed += localise.process(one)
    assert [product.kind for product in passed if isinstance(product, Product)] == ["sky", "sky"]
    assert localise.counters == {"without_exposure": 4}
    assert all(sky.header["EXPOSURE"].startswith("none: ") for sky in skies)
    assert list(localise.flush()) == []
