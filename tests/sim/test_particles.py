import numpy as np
import pytest

from config.errors import ConfigError
from config.load import load
from config.schema import QuadrantLayout
from sim import particles
from sim.charge import PAIR_ENERGY_EV, PARTICLE
from sim.diffusion import share
from sim.hit_library import HitLibrary
from sim.particles import Particles, Pixels, quadrants_per_primary
from sim.seeds import Seeds
from sim.telemetry import Telemetry
from tests.sim.libraries import drawn, write

WFI = load("wfi")
LAYOUT, SENSOR = WFI.detector, WFI.simulate.sensor
N = 70


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with HitLibrary(write(tmp_path_factory.mktemp("library") / "hits.h5", drawn(N, 7))) as opened:
        yield opened


@pytest.fixture
def pixels(library, monkeypatch):
    monkeypatch.setattr(particles, "BLOCK", 16)  # several blocks, of which not all are kept
    monkeypatch.setattr(particles, "BLOCKS", 2)
    return Pixels(library, SENSOR, LAYOUT)


def source(pixels, mean=3.0, seed=1, part=None):
    return Particles.of(pixels, mean, Seeds(seed), part)


def exposed(source, readout, seed=1):
    return source.expose(readout, LAYOUT, Seeds(seed).signal(readout, 0))


def test_the_same_read_out_is_the_same_in_any_order(pixels, library):
    forward = [exposed(source(pixels), readout) for readout in range(40)]
    other = source(Pixels(library, SENSOR, LAYOUT))
    for readout in (39, 3, 17, 0, 38):
        again = exposed(other, readout)
        assert np.array_equal(again.charges, forward[readout].charges)
        assert np.array_equal(again.truth["particles"], forward[readout].truth["particles"])


def test_none_is_used_twice_before_all_were_used(pixels):
    cosmic = source(pixels)
    used = np.concatenate([exposed(cosmic, readout).truth["particles"] for readout in range(2 * N)])
    assert len(used) > 5 * N
    for turn in range(5):
        assert sorted(used["library"][turn * N : (turn + 1) * N]) == list(range(N))
    images = used[["library", "mirror"]]
    assert np.unique(images[: 4 * N]).size == 4 * N  # no image twice, either
    assert np.array_equal(images[4 * N : 5 * N], images[:N])
    assert cosmic.uses(1000) == pytest.approx(3000 / N)


def test_a_part_has_only_its_own_primaries(pixels):
    cosmic = source(pixels, part=(20, 45))
    used = np.concatenate([exposed(cosmic, readout).truth["particles"]["library"] for readout in range(N)])
    for turn in range(len(used) // 25):
        assert sorted(used[turn * 25 : (turn + 1) * 25]) == list(range(20, 45))
    assert cosmic.uses(100) == pytest.approx(300 / 25)


def test_other_seeds_begin_elsewhere(pixels):
    first = [exposed(source(pixels, mean=9.0, seed=seed), 0).truth["particles"][0] for seed in range(20)]
    assert len({(int(row["library"]), int(row["mirror"])) for row in first}) >= 19
    assert {int(row["mirror"]) for row in first} == {0, 1, 2, 3}


def test_the_mean_number_is_as_asked_for(pixels):
    cosmic = source(pixels, mean=0.7)
    counts = [len(exposed(cosmic, readout).truth["particles"]) for readout in range(1500)]
    assert np.mean(counts) == pytest.approx(0.7, abs=4 * np.sqrt(0.7 / 1500))
    assert exposed(source(pixels, mean=0.0), 3).charges.size == 0


def test_the_truth_fits_the_charges(pixels, library):
    cosmic, primaries = source(pixels), library.primaries()
    lost_shares = []
    for readout in range(20):
        deposit = exposed(cosmic, readout)
        truth = deposit.truth["particles"]
        assert deposit.kind == PARTICLE
        assert (truth["frame"] == readout).all()
        assert truth["owner"].tolist() == list(range(len(truth)))
        assert set(deposit.charges["owner"]) <= set(truth["owner"])
        for name in ("energy_gev", "direction", "deposit_kev"):
            assert np.array_equal(truth[name], primaries[name][truth["library"]])
        collected = np.bincount(deposit.charges["owner"], deposit.charges["electrons"], len(truth)) * PAIR_ENERGY_EV
        lost = truth["deposit_kev"] * 1e3 - collected  # beyond the edges of the quadrants
        noise = np.sqrt(SENSOR.fano * truth["deposit_kev"] * 1e3 * PAIR_ENERGY_EV)
        assert (lost > -6 * noise - 1).all()
        lost_shares += (lost / truth["deposit_kev"] / 1e3).tolist()
    assert np.median(lost_shares) < 0.01


def test_pixels_are_the_hits_drifted_to_the_gates(pixels, library):
    place = 20  # the fifth of the second block
    block, inside = pixels.block(1), place - 16
    ours = block.pixels[block.first[inside] : block.first[inside + 1]]
    hits = library.hits(place, place + 1)
    owners = (np.zeros(len(hits), np.int64), hits["quadrant"])
    alone = share(owners, (hits["start_um"], hits["end_um"], hits["energy_ev"]), SENSOR, LAYOUT)
    for name in ("quadrant", "x", "y"):
        assert np.array_equal(ours[name], alone[name])
    assert ours["energy_ev"] == pytest.approx(alone["energy_ev"], rel=1e-4)


def test_all_of_a_primary_is_mirrored_together(pixels):
    cosmic = source(pixels, mean=1.0)
    turned = {}
    for readout in range(5 * N):
        deposit = exposed(cosmic, readout)
        for row in deposit.truth["particles"]:
            charges = deposit.charges[deposit.charges["owner"] == row["owner"]]
            turned.setdefault(int(row["library"]), {})[int(row["mirror"])] = charges
    compared = 0
    for images in turned.values():
        for which, charges in images.items():
            back = cosmic.mirrors[which].apply(charges.copy())
            first, back = (np.sort(rows[["quadrant", "y", "x"]]) for rows in (images[0], back))
            assert np.array_equal(first, back)
            compared += which > 0
    assert compared >= 2 * N


def test_electrons_vary_as_fano_says(pixels):
    cosmic = source(pixels)
    draws = [cosmic.expose(4, LAYOUT, Seeds(seed).signal(4, 0)).charges for seed in range(400)]
    expected = np.mean([rows["electrons"] for rows in draws], axis=0)
    spread = np.std([rows["electrons"] for rows in draws], axis=0)
    bright = expected > 100
    assert bright.any()
    assert spread[bright] == pytest.approx(np.sqrt(SENSOR.fano * expected[bright]), rel=0.2)


def test_a_primary_in_two_quadrants_counts_twice(library, pixels):
    hits = library.hits(0, N)
    visible = np.unique(hits[["primary", "quadrant"]]).size / N
    assert quadrants_per_primary(pixels) == pytest.approx(visible, abs=0.05)  # some fall beside the pixels
    assert visible > 1
    assert quadrants_per_primary(pixels, seen=True) == quadrants_per_primary(pixels)  # all are seen


def test_they_are_a_source_of_the_camera(pixels):
    camera = Telemetry(WFI, [source(pixels)], seeds=Seeds(1))
    truth = camera.truth(10)
    assert set(truth) == {"particles", "pixels"}
    assert set(zip(truth["pixels"]["frame"], truth["pixels"]["owner"], strict=True)) <= set(
        zip(truth["particles"]["frame"], truth["particles"]["owner"], strict=True)
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rows": 256}, "512 x 512 pixels"),
        ({"pixel_um": 100.0}, "pixels of 130 um"),
        ({"quadrants": [QuadrantLayout(id=7, origin_x_px=0, origin_y_px=0)]}, "quadrants among 0, 1, 2, 3"),
    ],
)
def test_a_camera_that_does_not_fit_is_one_line(change, expected, library):
    with pytest.raises(
        ConfigError, match=rf"camera for the hit library hits.h5 \(--hits straight takes any\): expected {expected}$"
    ):
        Pixels(library, SENSOR, LAYOUT.model_copy(update=change))


@pytest.mark.parametrize("thickness_um", [300.0, 500.0])
def test_other_silicon_is_one_line(thickness_um, library):
    with pytest.raises(ConfigError, match=r"expected 450 um of silicon$"):
        Pixels(library, SENSOR.model_copy(update={"thickness_um": thickness_um}), LAYOUT)


def test_a_camera_of_some_quadrants_sees_what_falls_there(library):
    two = LAYOUT.model_copy(update={"quadrants": LAYOUT.quadrants[:2]})
    block = Pixels(library, SENSOR, two).block(0)
    assert set(np.unique(block.pixels["quadrant"])) == {0, 1}
    assert len(block.primaries) == len(block.first) - 1 == N
    pairs, seen = (np.unique(block.pixels[names]).size for names in (["owner", "quadrant"], ["owner"]))
    assert quadrants_per_primary(Pixels(library, SENSOR, two)) == pytest.approx(pairs / N)
    assert quadrants_per_primary(Pixels(library, SENSOR, two), seen=True) == pytest.approx(pairs / seen)
    alone = LAYOUT.model_copy(update={"quadrants": LAYOUT.quadrants[3:]})  # nothing was drawn there
    with pytest.raises(ConfigError, match="expected primaries that leave signal in the camera"):
        quadrants_per_primary(Pixels(library, SENSOR, alone))
