"""The emulator of cross-calibration: what a wrong effective area makes of a fitted temperature."""
