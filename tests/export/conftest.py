from tests.models.conftest import frame_sets, torch

__all__ = ["frame_sets", "torch"]
