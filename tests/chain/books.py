"""What event lists say of the read-outs of a stream."""

from pathlib import Path

from tests.chain.daemon import tables

ReadOuts = list[tuple[int, int]]  # number and quadrant


def books(out: Path) -> tuple[ReadOuts, ReadOuts]:
    """Return the read-outs of all event lists below a folder, and those of their gaps."""
    frames: ReadOuts = []
    gaps: ReadOuts = []
    for path in sorted(out.rglob("events*.fits")):
        found = tables(path)
        frames += list(zip(found["FRAMES"]["FRAME"].tolist(), found["FRAMES"]["QUADRANT"].tolist(), strict=True))
        for row in found["GAPS"]:
            quadrants = range(4) if row["QUADRANT"] < 0 else [int(row["QUADRANT"])]
            gaps += [(n, q) for n in range(int(row["FIRST"]), int(row["LAST"]) + 1) for q in quadrants]
    return frames, gaps
