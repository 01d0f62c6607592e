"""The configuration of the stages of Fermi-LAT: photons in, the sky, its sources and alerts out."""

from typing import Literal

from config.alert import Alert
from config.localise import Localise
from config.schema import Links, Supervise
from config.section import NonNegative, Positive, Section


class AccumulateSky(Section):
    """Counts of the whole sky: the mission, its years, and windows of 6 hours, a day, a week, a month."""

    every_s: Positive = 21_600.0
    """Detector time from one product to the next, counted from MET 0."""
    irfs: str = ""
    """Folder with the responses of the mission (aeff_*_FB.fits, psf_*_FB.fits); empty: a coarse table of our own."""
    exposure: Literal["pointing", "survey"] = "pointing"
    """pointing: from where the instrument looked (FT2), or none; survey: an even survey, for a simulated sky."""
    write_every_s: NonNegative = 30.0
    """Wall time from one set of files to the next; the last one is always written."""
    snapshot_s: Positive = 21_600.0
    """Detector time after which all that was counted is written for good: what a dead process loses at most."""


class ClassifySky(Section):
    """What the sources of the mission are, and which are none."""

    model: str = "lat_cutouts"
    """A shipped model or an ONNX file; empty: no classes."""
    provider: Literal["auto", "cpu", "cuda"] = "cpu"


class Lat(Section):
    """One file is a whole instance, not a layer."""

    accumulate_sky: AccumulateSky
    localise: Localise = Localise()
    classify_sky: ClassifySky = ClassifySky()
    catalogue: str = ""
    """Catalogue of the mission (gll_psc_v*.fit), with which what is found is compared; empty: no alerts."""
    alert: Alert = Alert()
    links: Links = Links()
    supervise: Supervise = Supervise()
