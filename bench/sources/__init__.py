"""Figures and pictures of the page docs/sources.md: one file per subject."""
