from tests.models.conftest import frame_sets, torch
from tests.models.screening.conftest import event_sets

__all__ = ["event_sets", "frame_sets", "torch"]
