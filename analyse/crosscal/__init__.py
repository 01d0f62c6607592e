"""Cross-calibration: the correction of an effective area that makes the temperatures of two telescopes agree."""
