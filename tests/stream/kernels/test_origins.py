import numpy as np
import pytest

from stream.kernels.origins import REACH, count_reaching, expose, list_reaching, log_of_cells, share_photons, weigh

SHAPE = (24, 31)
TABLE = np.array([(10.2, 8.7, 1.4), (12.9, 9.3, 1.4), (30.6, 0.1, 1.9), (-3.0, 12.0, 1.0)])


def exposure():
    seconds = np.random.default_rng(0).uniform(50, 100, SHAPE)
    seconds[5:9, 11:14] = 0
    return seconds


def light(k, exposure):
    """The exposure times the PSF of a source, slowly and plainly."""
    x, y, sigma = TABLE[k]
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    r2 = (u - x) ** 2 + (v - y) ** 2
    psf = np.exp(-r2 / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return np.where(r2 <= (REACH * sigma) ** 2, psf, 0) * exposure


def listed(seconds):
    number = np.zeros(SHAPE, np.int64)
    total = count_reaching(TABLE, seconds, number)
    wanted = (number > 0) & (np.random.default_rng(1).random(SHAPE) < 0.5)
    place = np.where(wanted, np.cumsum(wanted).reshape(SHAPE) - 1, -1)
    begins = np.concatenate([[0], np.cumsum(number[wanted])])
    source_of, weight = np.zeros(begins[-1], np.int64), np.zeros(begins[-1])
    list_reaching(TABLE, seconds, place, begins, source_of, weight)
    y, x = np.nonzero(wanted)
    return number, total, place, (begins, source_of, x.astype(float), y.astype(float)), weight


def test_every_pixel_lists_the_sources_that_reach_it():
    seconds = exposure()
    number, total, place, (begins, source_of, _, _), weight = listed(seconds)
    images = np.array([light(k, seconds) for k in range(len(TABLE))])
    np.testing.assert_allclose(total, images.sum(axis=(1, 2)))
    np.testing.assert_array_equal(number, (images > 0).sum(axis=0))
    for y, x in np.argwhere(place >= 0):
        own = slice(begins[place[y, x]], begins[place[y, x] + 1])
        there = np.zeros(len(TABLE))
        there[source_of[own]] = weight[own]
        np.testing.assert_allclose(there, images[:, y, x])


def test_a_source_that_moved_has_the_light_of_its_new_place():
    seconds = exposure()
    *_, near, weight = listed(seconds)
    begins, source_of, x, y = near
    at, moved, total = seconds[y.astype(int), x.astype(int)], np.zeros_like(weight), np.zeros(len(TABLE))
    weigh(TABLE, near, at, moved)
    np.testing.assert_allclose(moved, weight)
    new = TABLE + np.array([0.4, -0.7, 0.0])
    weigh(new, near, at, moved)
    pixel = np.repeat(np.arange(len(x)), np.diff(begins))
    u, v, sigma = new[source_of].T
    psf = np.exp(-((x[pixel] - u) ** 2 + (y[pixel] - v) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    np.testing.assert_allclose(moved, psf * at[pixel])
    expose(new, TABLE, seconds, total)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for k, ((u, v, sigma), own) in enumerate(zip(new, TABLE, strict=True)):
        psf = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        seen = np.hypot(columns - own[0], rows - own[1]) <= REACH * sigma
        assert total[k] == pytest.approx(np.sum(psf * seen * seconds))


def plain_share(cells, near, weight, light, chance):
    """The origins of photons by the definition: one draw of all possible ones for each."""
    rates, diffuse = light
    of_source, of_tile, places, left = np.zeros_like(rates), np.zeros_like(diffuse), np.zeros((4, 2)), list(chance)
    begins, source_of, x, y = near
    for pixel, band, tile, counts, glow in zip(*cells, strict=True):
        sources = source_of[begins[pixel] : begins[pixel + 1]]
        parts = [diffuse[tile, band] * glow, *(rates[sources, band] * weight[begins[pixel] : begins[pixel + 1]])]
        edges = np.cumsum(parts) / np.sum(parts)
        for _ in range(counts):
            origin = min(int(np.searchsorted(edges, left.pop(0), side="right")), len(parts) - 1)
            if origin == 0:
                of_tile[tile, band] += 1
            else:
                of_source[sources[origin - 1], band] += 1
                places[sources[origin - 1]] += x[pixel], y[pixel]
    return of_source, of_tile, places


@pytest.mark.parametrize("glow", [0.0, 0.5, 1e3])
def test_photons_are_shared_out_as_the_slow_way_does(glow):
    _, _, place, near, weight = listed(exposure())
    rng = np.random.default_rng(2)
    m, bands, tiles = int(place.max()) + 1, 3, 4
    pixel = rng.integers(0, m, 500)
    cells = pixel, rng.integers(0, bands, 500), rng.integers(0, tiles, 500), rng.integers(1, 6, 500), np.full(500, glow)
    rates, diffuse = rng.exponential(1, (len(TABLE), bands)), rng.exponential(1, (tiles, bands))
    chance = rng.random(cells[3].sum())
    out = np.ones_like(rates), np.ones_like(diffuse), np.ones((len(TABLE), 2))
    share_photons(cells, near, weight, (rates, diffuse), chance, out)
    for fast, slow in zip(out, plain_share(cells, near, weight, (rates, diffuse), chance), strict=True):
        np.testing.assert_array_equal(fast, slow)
    assert out[0].sum() + out[1].sum() == cells[3].sum()
    begins, source_of, _, _ = near
    expected = [
        diffuse[t, b] * g + sum(rates[source_of[j], b] * weight[j] for j in range(begins[p], begins[p + 1]))
        for p, b, t, _, g in zip(*cells, strict=True)
    ]
    log = log_of_cells(cells, near, weight, (rates, diffuse))
    assert log == pytest.approx(np.sum(cells[3] * np.log(expected)))


def test_nothing_to_share():
    nothing, none = np.zeros(0, np.int64), np.zeros(0)
    cells, near = (nothing, nothing, nothing, nothing, none), (np.zeros(1, np.int64), nothing, none, none)
    out, light = (np.ones((0, 3)), np.ones((2, 3)), np.ones((0, 2))), (np.zeros((0, 3)), np.ones((2, 3)))
    share_photons(cells, near, none, light, none, out)
    assert not out[1].any()
    assert log_of_cells(cells, near, none, light) == 0
