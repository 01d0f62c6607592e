"""Places come back from masks of regions, nearer than a pixel."""

import numpy as np
import pytest

from stream.lat.masks import RADIUS_DEG, likely_at, places_of
from stream.lat.patch import SIDE_DEG

SIDE = 160
AT = (np.arange(SIDE) + 0.5) * SIDE_DEG / SIDE


def mask_of(places, softness=0.06):
    """Soft discs, as a network gives them."""
    mask = np.zeros((SIDE, SIDE))
    for x, y, p in places:
        away = np.hypot(AT[None, :] - x, AT[:, None] - y)
        mask = np.maximum(mask, p / (1 + np.exp((away - RADIUS_DEG) / softness)))
    return mask


def test_isolated_regions_are_found_nearer_than_a_pixel():
    rng = np.random.default_rng(1)
    truth = np.stack([1 + 2 * (np.arange(49) % 7), 1 + 2 * (np.arange(49) // 7)], axis=1) + rng.uniform(0, 0.5, (49, 2))
    found = places_of(mask_of([(*place, 0.9) for place in truth]))
    assert len(found.p) == 49
    away = np.hypot(found.x_deg[:, None] - truth[:, 0], found.y_deg[:, None] - truth[:, 1]).min(axis=1)
    assert away.max() < 0.03
    assert found.p == pytest.approx(0.9, abs=0.05)


def test_two_regions_that_touch_are_two():
    found = places_of(mask_of([(8.0, 8.0, 0.9), (8.45, 8.0, 0.7)]))
    assert sorted(found.x_deg) == pytest.approx([8.0, 8.45], abs=0.08)
    assert found.p[0] > found.p[1]


def test_faint_regions_and_none_are_none():
    assert len(places_of(mask_of([(8.0, 8.0, 0.15)])).p) == 0
    assert len(places_of(np.zeros((SIDE, SIDE))).p) == 0


def test_what_a_mask_says_of_a_place():
    mask = mask_of([(8.0, 4.0, 0.8)])
    p = likely_at(mask, np.array([8.0, 12.0, 20.0]), np.array([4.05, 4.0, 4.0]))
    assert p[0] == pytest.approx(0.8, abs=0.05)
    assert p[1] < 0.01
    assert np.isnan(p[2])
    assert len(likely_at(mask, np.zeros(0), np.zeros(0))) == 0
