"""Analyses off the stream that may take their time: posteriors of spectral models."""
