"""Cross-calibration: spectra of clusters through a modified telescope, fitted through the nominal one and the true."""
