"""What cross-calibration costs and how well it does."""
