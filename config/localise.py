"""The configuration of the search for gamma-ray sources."""

from typing import Annotated, Literal

from pydantic import Field

from config.section import Section

Name = Literal["six_hours", "day", "week", "month", "mission"]


class Localise(Section):
    """Where sources are in the windows of the sky."""

    windows: list[Name] = Field(default=["six_hours", "mission"])
    """Which windows are searched at every product; the mission takes minutes of CPU, six hours seconds."""
    least_ts: Annotated[float, Field(ge=9, le=400)] = 16.0
    """Test statistic of the faintest source: 25 is 4FGL's threshold; 16 finds more, 7 % false off the plane."""
    iem: str = ""
    """Cube of interstellar emission (gll_iem_v07.fits); empty: an analytic stand-in, good for simulated skies only."""
    iso: str = ""
    """Folder of iso_*_FRONT_*.txt and iso_*_BACK_*.txt; empty: a stand-in."""
    model: str = "lat_localise"
    """Network that says how probable each source of the mission is: a shipped one, an ONNX file; empty: not asked."""
    least_probability: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Sources of the mission that the network finds less probable are left out, and counted."""
    network_within_deg: Annotated[float, Field(ge=0, le=90)] = 10.0
    """So near to the plane, the network's places are fitted, not the filter's: gas there looks like sources to it."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
