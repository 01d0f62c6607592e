"""Figures of the X-ray sources: `docs/figures/sources_*.json`, `docs/pictures/sources_*.png`."""
