from tests.models.conftest import frame_sets, torch
from tests.models.islands.conftest import config, event_files, known
from tests.models.screening.conftest import event_sets
from tests.models.sources.conftest import boosted, fused, known_sources, source_tables

__all__ = [
    "boosted",
    "config",
    "event_files",
    "event_sets",
    "frame_sets",
    "fused",
    "known",
    "known_sources",
    "source_tables",
    "torch",
]
