"""Models of the gamma-ray sky: where sources are, and what they are."""
