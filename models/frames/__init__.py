"""The frame classifier of seed 003: empty, X-ray, particle or both, and where in the frame (class activation maps)."""
