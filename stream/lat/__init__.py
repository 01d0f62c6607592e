"""The gamma-ray sky as Fermi-LAT sees it: instrument, exposure, background, the search for sources."""
