"""Spectra of X-ray sources: responses, models, statistics, fits, fluxes. Arrays in, numbers out: no file, no socket."""
