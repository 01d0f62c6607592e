"""Pure numerics on arrays.

Numba keeps the machine code of a kernel until its file changes, and does not see when another file changes whose kernel
it calls. So it is kept under a digest of all of them.
"""

import hashlib
from pathlib import Path

import numba

_FOLDER = Path(__file__).parent
_SOURCES = b"".join(path.read_bytes() for path in sorted(_FOLDER.glob("*.py")))
_KEPT = Path(getattr(numba.config, "CACHE_DIR", "") or _FOLDER / "__pycache__")  # NUMBA_CACHE_DIR, if it is set
vars(numba.config)["CACHE_DIR"] = str(_KEPT / hashlib.sha256(_SOURCES).hexdigest()[:12])
