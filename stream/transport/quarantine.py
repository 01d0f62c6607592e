"""Samples of messages that could not be read, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

from stream.transport.wire import BadMessageError, Part

MAX_SAMPLES = 4  # of each kind of fault, over all runs: a folder that is never emptied does not grow
MAX_SAMPLE_BYTES = 4096  # of a part
MAX_SAMPLE_PARTS = 20


class Quarantine:
    """A folder of text files, `FAULT-N.txt`: what was expected, then the parts of the message in hex."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._full: set[str] = set()

    def keep(self, fault: BadMessageError, parts: Sequence[Part]) -> bool:
        """Keep one message if there are few of its kind; return False if the disk does not take it."""
        if fault.fault in self._full:
            return True
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for n in range(MAX_SAMPLES):
                path = self._folder / f"{fault.fault}-{n}.txt"
                if not path.exists():
                    path.write_text(describe(fault, parts), encoding="utf-8")
                    return True
        except OSError:
            return False
        self._full.add(fault.fault)
        return True


def describe(fault: BadMessageError, parts: Sequence[Part]) -> str:
    """Return the text of a sample: lines of 32 bytes in hex, large parts cut short."""
    lines = [str(fault)]
    for number, part in enumerate(parts[:MAX_SAMPLE_PARTS]):
        whole = memoryview(part).cast("B")
        shown = whole[:MAX_SAMPLE_BYTES].hex()
        lines.append(f"part {number}, {whole.nbytes} bytes, of which {len(shown) // 2}:")
        lines += [shown[k : k + 64] for k in range(0, len(shown), 64)]
    return "\n".join(lines) + "\n"
