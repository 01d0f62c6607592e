"""Events: local maxima among the hits, with their windows, patterns, sums and energies."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Bits of FLAG and REASON (stream.messages.Flag, Reason), as plain numbers for Numba.
BORDER, BAD_NEIGHBOUR, BAD_OUTER, SATURATED, PILE_UP = 1, 2, 4, 8, 32
R_PATTERN, R_OUTER_RING, R_MIP, R_BAD_PIXEL = 1, 2, 4, 16
INVALID = 13
NO_CORNERS, ENCLOSED_CORNERS, ALL_CORNERS = 0, 1, 2  # of the 3x3 window; enclosed: between two sides that hold signal
POSITIONS = 129  # entries of Rules.position


class Rules(NamedTuple):
    """What holds for all events of a stream; thresholds in the unit of the pixels."""

    patterns: NDArray[np.uint8]  # (256,) pattern of each neighbour mask
    grades: NDArray[np.int16]  # (256,) the mission's grade
    position: NDArray[np.float32]  # (POSITIONS,) position in the pixel of a charge share of 0..0.5
    loss_at_ev: NDArray[np.float32]  # (n,) energies of the charge-loss table, rising
    loss_ev: NDArray[np.float32]  # (4, n) lost by singles, doubles, triples, quads
    gain_ev: float  # eV per unit
    pha_per_unit: float
    pi_channel_ev: float
    pi_channels: int
    mip_ev: float
    saturation: float
    blank: float  # value of a pixel without data
    sum_radius: int  # 1: 3x3, 2: 5x5
    corners: NDArray[np.uint8]  # (256,) by neighbour mask: ALL_CORNERS, ENCLOSED_CORNERS or NO_CORNERS in the sum
    border: int
    outer_ring_invalidates: bool
    reject: int  # bits of REASON that reject


@njit(cache=True, nogil=True, inline="always")
def signal_of(pixels, offset, common_mode, y, x):
    """Signal of one pixel, float32, in its own unit (an empty offset means that pixels hold signal already)."""
    if offset.size == 0:
        return np.float32(pixels[y, x])
    return np.float32(pixels[y, x]) - np.float32(offset[y, x]) * np.float32(1 / 256) - common_mode[y]


@njit(cache=True, nogil=True)
def is_peak(pixels, offset, common_mode, bad, blank, y, x):
    """Whether (y, x) is above its later neighbours and not below its earlier ones, so that a tie gives one event.

    A bad or missing neighbour holds nothing; next to a blank one nothing is known to be a peak.
    """
    rows, columns = pixels.shape
    centre = signal_of(pixels, offset, common_mode, y, x)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            v, u = y + dy, x + dx
            if (dy == 0 and dx == 0) or v < 0 or u < 0 or v >= rows or u >= columns:
                continue
            if pixels[v, u] == blank:
                return False
            if bad[v, u] != 0 or not np.isfinite(pixels[v, u]):
                continue
            other = signal_of(pixels, offset, common_mode, v, u)
            earlier = dy < 0 or (dy == 0 and dx < 0)
            if other > centre or (other == centre and not earlier):
                return False
    return True


@njit(cache=True, nogil=True)
def cut_window(pixels, offset, common_mode, bad, split, rules, y, x, island):
    """Write the 5x5 signals around (y, x) to `island` (25,) float32, NaN where there are no data.

    Returns (FLAG bits; bits of the pixels at or above their split threshold, bit k for island[k]).
    """
    rows, columns = pixels.shape
    flag = above = k = 0
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            v, u = y + dy, x + dx
            inner = abs(dy) < 2 and abs(dx) < 2
            island[k] = np.nan
            if v < 0 or u < 0 or v >= rows or u >= columns:
                flag |= BORDER
            elif bad[v, u] != 0 or pixels[v, u] == rules.blank or not np.isfinite(pixels[v, u]):
                flag |= BAD_NEIGHBOUR if inner else BAD_OUTER
            else:
                island[k] = signal_of(pixels, offset, common_mode, v, u)
                above |= (1 << k) if island[k] >= split[v, u] else 0
                flag |= SATURATED if inner and pixels[v, u] >= rules.saturation else 0
            k += 1
    return flag, above


@njit(cache=True, nogil=True)
def position_in_pixel(island, above, position, along_x):
    """Position (-0.5..0.5) along one axis from the charge shared with the two neighbours on it.

    The share f of a Gaussian cloud beyond the pixel's edge gives the cloud's distance from that edge; the table
    `position` holds 0.5 + sigma * Phi^-1(f). Without signal in a neighbour the best guess is the centre.
    """
    low = high = total = np.float32(0)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            k = (dy + 2) * 5 + dx + 2
            if not (above >> k) & 1:
                continue
            along = dx if along_x else dy
            total += island[k]
            low += island[k] if along < 0 else np.float32(0)
            high += island[k] if along > 0 else np.float32(0)
    side = max(low, high)
    if side <= 0 or total <= 0:
        return np.float32(0)
    place = min(side / total, np.float32(0.5)) * np.float32(2 * (POSITIONS - 1))
    step = min(int(place), POSITIONS - 2)
    value = position[step] + (place - step) * (position[step + 1] - position[step])
    return value if high >= low else -value


@njit(cache=True, nogil=True)
def charge_loss(pattern, energy_ev, at_ev, loss_ev):
    """Mean energy (eV) that an event of this pattern loses below the split threshold; 0 for invalid patterns."""
    if pattern == INVALID or at_ev.size == 0:
        return np.float32(0)
    kind = 0 if pattern == 0 else (pattern - 1) // 4 + 1
    if energy_ev <= at_ev[0]:
        return loss_ev[kind, 0]
    for k in range(1, at_ev.size):
        if energy_ev < at_ev[k]:
            part = (energy_ev - at_ev[k - 1]) / (at_ev[k] - at_ev[k - 1])
            return loss_ev[kind, k - 1] + part * (loss_ev[kind, k] - loss_ev[kind, k - 1])
    return loss_ev[kind, at_ev.size - 1]


@njit(cache=True, nogil=True)
def describe(event, above, rules):
    """Fill pattern, sums, energies and reasons of one event from its window and the bits of its pixels above split."""
    mask = outer = pixels = 0
    bit = 1
    for k in range(25):
        inner = abs(k // 5 - 2) < 2 and abs(k % 5 - 2) < 2
        if inner and k != 12:
            mask |= bit if (above >> k) & 1 else 0
            bit <<= 1
        outer += (above >> k) & 1 if not inner else 0
    total = np.float64(0)  # so that the order of the pixels does not show
    for k in range(25):
        dy, dx = k // 5 - 2, k % 5 - 2
        holds = (above >> k) & 1
        if abs(dy) == 1 and abs(dx) == 1 and rules.corners[mask] != ALL_CORNERS:
            sides = (above >> (12 + 5 * dy)) & (above >> (12 + dx)) & 1
            holds &= sides if rules.corners[mask] == ENCLOSED_CORNERS else 0
        if holds and max(abs(dy), abs(dx)) <= rules.sum_radius:
            total += event.island[k]
            pixels += 1
    pattern = rules.patterns[mask]
    if outer and pattern > 0 and rules.outer_ring_invalidates:
        pattern = np.uint8(INVALID)
    summed_ev = np.float32(total * rules.gain_ev)
    energy = summed_ev + charge_loss(pattern, summed_ev, rules.loss_at_ev, rules.loss_ev)
    event.neighbours, event.pattern, event.grade = mask, pattern, rules.grades[mask]
    event.vfaint, event.pixels, event.signal = outer > 0, pixels, total
    event.flag |= PILE_UP if outer else 0
    event.energy_ev = energy
    event.pha = np.int32(np.rint(total * rules.pha_per_unit))
    event.pi = np.int32(min(max(energy / rules.pi_channel_ev, np.float32(0)), np.float32(rules.pi_channels - 1)))
    reason = R_PATTERN if rules.patterns[mask] == INVALID else 0
    reason |= R_OUTER_RING if outer and mask else 0
    reason |= R_MIP if summed_ev >= rules.mip_ev else 0
    reason |= R_BAD_PIXEL if event.flag & BAD_NEIGHBOUR else 0
    event.reason = reason & rules.reject
    event.sub_x = position_in_pixel(event.island, above, rules.position, True)
    event.sub_y = position_in_pixel(event.island, above, rules.position, False)


@njit(cache=True, nogil=True)
def find_events(pixels, offset, common_mode, bad, split, hits, rules, place, out):
    """Make an event of every hit that is a local maximum of its 3x3 window.

    pixels (rows, columns) uint16 ADU or float32 signal; offset (rows, columns) int32, 1/256 ADU, or empty where pixels
    are signal already; common_mode (rows,) float32; bad (rows, columns) uint8, 0 = good; split (rows, columns) float32
    threshold in the pixels' unit; hits (n, 2) int16: row, column; place = (frame, time_ns, source_frame, quadrant,
    x and y of pixel (0, 0) in the focal plane); out: table of EVENT.
    Returns (how many events are written, -1 if `out` is too short; their FLAG bits together); (0, 0) for no hits.
    Distances are left to `measure_distances`.
    """
    n = flags = 0
    frame, time_ns, source_frame, quadrant, origin_x, origin_y = place
    rows, columns = pixels.shape
    border = rules.border
    for k in range(hits.shape[0]):
        y, x = int(hits[k, 0]), int(hits[k, 1])
        if y < border or x < border or y >= rows - border or x >= columns - border:
            continue
        if not is_peak(pixels, offset, common_mode, bad, rules.blank, y, x):
            continue
        if n == out.shape[0]:
            return -1, flags
        event = out[n]
        event.x, event.y = x, y
        flag, above = cut_window(pixels, offset, common_mode, bad, split, rules, y, x, event.island)
        event.flag = flag
        describe(event, above, rules)
        event.frame, event.time_ns, event.source_frame, event.quadrant = frame, time_ns, source_frame, quadrant
        event.focal_x, event.focal_y = origin_x + x + event.sub_x, origin_y + y + event.sub_y
        flags |= event.flag
        n += 1
    return n, flags
