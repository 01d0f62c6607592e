"""Spectra of stellar coronae, the thorough way: lines and their ratios, emission measures, populations."""
