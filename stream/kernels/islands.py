"""Islands of signal, particle tracks among them, and how far events lie from them."""

import numpy as np
from numba import njit

from stream.kernels.events import signal_of

IN_TRACK = 16  # of FLAG
R_IN_TRACK = 8  # of REASON


@njit(cache=True, nogil=True)
def grow_island(pixels, offset, common_mode, bad, split, seen, stack, y, x):
    """Collect the 8-neighbour island of (y, x) in `stack` (m, 2) int16 and mark it in `seen`; returns its size."""
    rows, columns = pixels.shape
    stack[0, 0], stack[0, 1] = y, x
    seen[y, x] = 1
    size = 1
    k = 0
    while k < size:
        cy, cx = stack[k, 0], stack[k, 1]
        k += 1
        for v in range(max(0, cy - 1), min(rows, cy + 2)):
            for u in range(max(0, cx - 1), min(columns, cx + 2)):
                if seen[v, u] or bad[v, u] or not np.isfinite(pixels[v, u]):
                    continue
                if signal_of(pixels, offset, common_mode, v, u) < split[v, u]:
                    continue
                seen[v, u] = 1
                if size < stack.shape[0]:
                    stack[size, 0], stack[size, 1] = v, u
                    size += 1
    return size


@njit(cache=True, nogil=True)
def fill_track(track, pixels, offset, common_mode, stack, size, gain_ev):
    """Fill size, extent, centre and energy of one track from its pixels, stack (size, 2) int16: row, column."""
    total = peak = sx = sy = 0.0
    track.pixels = size
    track.x_min = track.x_max = stack[0, 1]
    track.y_min = track.y_max = stack[0, 0]
    for k in range(size):
        y, x = stack[k, 0], stack[k, 1]
        value = float(signal_of(pixels, offset, common_mode, y, x))
        total += value
        peak = max(peak, value)
        sx += value * x
        sy += value * y
        track.x_min, track.x_max = min(track.x_min, x), max(track.x_max, x)
        track.y_min, track.y_max = min(track.y_min, y), max(track.y_max, y)
    track.energy_ev, track.peak_ev = total * gain_ev, peak * gain_ev
    track.x, track.y = sx / total, sy / total
    mx = my = xx = yy = xy = 0.0
    for k in range(size):
        mx += stack[k, 1] / size
        my += stack[k, 0] / size
    for k in range(size):
        dx, dy = stack[k, 1] - mx, stack[k, 0] - my
        xx += dx * dx
        yy += dy * dy
        xy += dx * dy
    track.mean_x, track.mean_y = mx, my
    track.var_x, track.var_y, track.cov_xy = xx / size, yy / size, xy / size


@njit(cache=True, nogil=True)
def find_tracks(pixels, offset, common_mode, bad, split, hits, rule, place, seen, stack, tracks, marks):
    """Find the particle tracks: islands at or above split of enough pixels, or with a bright enough one.

    Arrays as in `find_events`. Islands grow from the hits: one without any pixel above the event threshold is noise.
    rule = (least_pixels, peak in the unit of pixels, gain_ev); place as in `find_events`; seen (rows, columns) uint8, 0
    before and after; stack (rows * columns, 2) int16, scratch; tracks: table of TRACK; marks (m, 3) int32: x and y in
    the focal plane of each pixel of a track, 1 if it is at or above the peak. Returns (tracks, marks) written, at most
    what the tables hold; (0, 0) for no hits.
    """
    least, bright, gain_ev = rule
    frame, time_ns, source_frame, quadrant, origin_x, origin_y = place
    n = filled = 0
    grown = 0  # what to clear in `seen` at the end lies in stack[:grown]
    for k in range(hits.shape[0]):
        y, x = hits[k, 0], hits[k, 1]
        if seen[y, x] or bad[y, x]:
            continue
        island = stack[grown:]
        size = grow_island(pixels, offset, common_mode, bad, split, seen, island, y, x)
        grown += size
        peak = np.float32(0)
        for j in range(size):
            peak = max(peak, signal_of(pixels, offset, common_mode, island[j, 0], island[j, 1]))
        if size < least and peak < bright:
            continue
        if n < tracks.shape[0]:
            track = tracks[n]
            fill_track(track, pixels, offset, common_mode, island, size, gain_ev)
            track.frame, track.time_ns, track.source_frame, track.quadrant = frame, time_ns, source_frame, quadrant
            n += 1
        for j in range(size):
            if filled == marks.shape[0]:
                break
            v, u = island[j, 0], island[j, 1]
            marks[filled, 0], marks[filled, 1] = origin_x + u, origin_y + v
            marks[filled, 2] = signal_of(pixels, offset, common_mode, v, u) >= bright
            filled += 1
    for j in range(grown):
        seen[stack[j, 0], stack[j, 1]] = 0
    return n, filled


@njit(cache=True, nogil=True)
def measure_distances(events, origins, marks, reject, rejected):
    """Write to each event its distance to the nearest pixel of a track and to the nearest MIP pixel, in pixels.

    events: table of EVENT; origins (256, 2) int32: x and y in the focal plane of pixel (0, 0) of each quadrant; marks
    (m, 3) int32 as `find_tracks` gives them, of all quadrants of the read-out. Distances are -1 where it has no such
    pixel. Events in a track are flagged, and rejected if `reject` has that bit; rejected (256,) int32 counts the
    rejected events of each quadrant.
    """
    rejected[:] = 0
    for k in range(events.shape[0]):
        event = events[k]
        x = np.int64(origins[event.quadrant, 0]) + event.x
        y = np.int64(origins[event.quadrant, 1]) + event.y
        track = mip = np.int64(-1)
        for j in range(marks.shape[0]):
            d = (x - marks[j, 0]) ** 2 + (y - marks[j, 1]) ** 2
            if track < 0 or d < track:
                track = d
            if marks[j, 2] and (mip < 0 or d < mip):
                mip = d
        event.track_distance = np.sqrt(np.float64(track)) if track >= 0 else np.float64(-1)
        event.mip_distance = np.sqrt(np.float64(mip)) if mip >= 0 else np.float64(-1)
        if track == 0:
            event.flag |= IN_TRACK
            event.reason |= R_IN_TRACK & reject
        rejected[event.quadrant] += event.reason != 0
