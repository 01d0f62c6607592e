"""Figures and pictures of the X-ray sources: docs/sources.md."""
