from tests.models.conftest import frame_sets, torch
from tests.models.islands.conftest import config, event_files, known
from tests.models.screening.conftest import event_sets

__all__ = ["config", "event_files", "event_sets", "frame_sets", "known", "torch"]
