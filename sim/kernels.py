"""Numba kernels of the simulation: arrays and numbers only."""

import math

import numpy as np

from stream.kernels import njit

REACH = 4.0  # sigmas of a cloud that are looked at; the 3e-5 outside stay in its outer pixels
FINEST_UM = 1.0  # no piece of a step is shorter: the clouds right under the gates are smaller, but so is their number


@njit(cache=True, nogil=True)
def share_steps(group, start, end, energy, width, pixel_um, shape):
    """Spread the energy along straight steps over the pixels, a Gaussian cloud for each piece of a step.

    group (n,) int64, rising: steps of the same group add up; start, end (n, 3) float32 um: x and y from the outer
    corner of pixel (0, 0), depth below the entrance window; energy (n,) float: uniform along the step;
    width: (variance at the gates um^2, variance per um of drift um, thickness um); shape: (rows, columns).
    Returns group (int64), place = y * columns + x (int64), energy (float64), one row for each pixel of each group,
    sorted by both. What falls off the quadrant is lost. Empty input gives empty arrays.
    """
    sheet = np.zeros(shape)
    flat = sheet.reshape(-1)
    touched, count = np.empty(sheet.size, np.int64), 0
    groups, places, parts, n = np.empty(4096, np.int64), np.empty(4096, np.int64), np.empty(4096), 0
    for i in range(group.size):
        count = _share_step(start[i], end[i], energy[i], width, pixel_um, sheet, touched, count)
        if i + 1 < group.size and group[i + 1] == group[i]:
            continue
        if n + count > groups.size:
            groups, places, parts = _longer(groups, n + count), _longer(places, n + count), _longer(parts, n + count)
        touched[:count].sort()
        for place in touched[:count]:
            groups[n], places[n], parts[n] = group[i], place, flat[place]
            flat[place] = 0
            n += 1
        count = 0
    return groups[:n], places[:n], parts[:n]


@njit(cache=True, nogil=True)
def _longer(array, least):
    """Return a copy of `array` with room for `least` values and more."""
    out = np.empty(2 * least, array.dtype)
    out[: array.size] = array
    return out


@njit(cache=True, nogil=True)
def _share_step(start, end, energy, width, pixel_um, sheet, touched, count):
    """Add one step to `sheet`; note the pixels that were empty in touched[count:]. Returns the new count."""
    dx, dy, dz = float(end[0] - start[0]), float(end[1] - start[1]), float(end[2] - start[2])
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    done = 0.0
    while done < 1.0:
        drift = width[2] - min(max(start[2] + done * dz, 0.0), width[2])
        piece = 1.0
        if length > FINEST_UM:  # so short that the sum over the pieces is as good as the integral
            piece = min(max(FINEST_UM, 0.3 * math.sqrt(width[0] + width[1] * drift)) / length, 1.0 - done)
        at = done + 0.5 * piece
        drift = width[2] - min(max(start[2] + at * dz, 0.0), width[2])
        sigma = math.sqrt(width[0] + width[1] * drift)
        x, y = start[0] + at * dx, start[1] + at * dy
        count = _share_cloud(x, y, sigma, energy * piece, pixel_um, sheet, touched, count)
        done += piece
        if 1.0 - done < 1e-9:
            break
    return count


@njit(cache=True, nogil=True)
def _share_cloud(x, y, sigma, energy, pixel_um, sheet, touched, count):
    """Add one cloud to `sheet`; note the pixels that were empty in touched[count:]. Returns the new count."""
    rows, columns = sheet.shape
    reach = REACH * sigma
    first_x, last_x = math.floor((x - reach) / pixel_um), math.floor((x + reach) / pixel_um)
    first_y, last_y = math.floor((y - reach) / pixel_um), math.floor((y + reach) / pixel_um)
    below_y = 0.0
    for row in range(first_y, last_y + 1):
        up_to_y = _below((row + 1) * pixel_um - y, sigma) if row < last_y else 1.0
        below_x = 0.0
        for column in range(first_x, last_x + 1):
            up_to_x = _below((column + 1) * pixel_um - x, sigma) if column < last_x else 1.0
            part = energy * (up_to_x - below_x) * (up_to_y - below_y)
            if part > 0 and 0 <= row < rows and 0 <= column < columns:
                if sheet[row, column] == 0:
                    touched[count] = row * columns + column
                    count += 1
                sheet[row, column] += part
            below_x = up_to_x
        below_y = up_to_y
    return count


@njit(cache=True, nogil=True)
def _below(edge, sigma):
    """Return the share of a Gaussian around 0 that lies below `edge`."""
    return 0.5 * math.erfc(-edge / (sigma * math.sqrt(2)))


@njit(cache=True, nogil=True)
def read_out(chance, normal, maps, common, signal, top):
    """Return a frame as an ADC gives it: offset + common mode + noise + signal, rounded, in 0..top, uint16.

    chance: (bits (rows * columns,) uint16, one for each pixel; spare (n,) float in [0, 1), for the tails: two in a
    hundred pixels use one, wraps around at its end); normal: (table (65536,) float32, the normal quantile of each
    value of the bits; tail: how many values on each side are in the tail; edge: the quantile where it begins), the
    tails are drawn exactly (Marsaglia 1964, Technometrics 6, 101); maps: (offset, noise) (rows, columns) float32 ADU;
    common (rows,), signal (rows, columns): float32 ADU.
    """
    bits, spare = chance
    table, tail, edge = normal
    offset, noise = maps
    rows, columns = offset.shape
    out, z, used = np.empty((rows, columns), np.uint16), np.empty(columns, np.float32), 0
    for y in range(rows):
        drawn = bits[y * columns : (y + 1) * columns]
        for x in range(columns):
            z[x] = table[drawn[x]]
        for x in range(columns):
            if tail <= drawn[x] < 65536 - tail:
                continue
            while True:
                far = math.sqrt(edge * edge - 2 * math.log(1 - spare[used]))
                inside = spare[used + 1] * far < edge
                used = (used + 2) % (spare.size - 1)
                if inside:
                    break
            z[x] = far if drawn[x] >= tail else -far
        for x in range(columns):
            level = offset[y, x] + common[y] + noise[y, x] * z[x] + signal[y, x]
            out[y, x] = np.uint16(min(max(np.rint(level), np.float32(0)), top))
    return out
