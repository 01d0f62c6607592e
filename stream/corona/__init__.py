"""Spectra of stellar coronae: lines, continuum, instruments, what is expected of a plasma."""
