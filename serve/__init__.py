"""The web service: fits of spectra and catalogues of event lists over HTTP."""
