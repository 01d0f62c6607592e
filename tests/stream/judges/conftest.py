from tests.models.sources.conftest import fused, known_sources, source_tables

__all__ = ["fused", "known_sources", "source_tables"]
