"""Figures of the gamma-ray sky: made by commands, kept in docs/figures/lat_*.json."""
