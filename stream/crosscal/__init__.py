"""Cross-calibration: corrections of an effective area, by family, that make two telescopes agree."""
