"""The section of flare alerts."""

from typing import Annotated

from pydantic import Field

from config.section import Section


class Alert(Section):
    """What of a window of time is worth an alert; none leaves the machine."""

    least_ts: Annotated[float, Field(ge=9)] = 25.0
    """TS of the source in the window."""
    least_ratio: Annotated[float, Field(gt=1)] = 3.0
    """Flux in the window over that of the catalogue."""
    least_rise_sigma: Annotated[float, Field(ge=1)] = 5.0
    """Of the rise over the catalogue's flux, before trials: some 6,000 sources are looked at in every window."""
    least_new_ts: Annotated[float, Field(ge=9)] = 36.0
    """TS of one that no source of the catalogue explains: it may be anywhere on the sky."""
    within_r95: Annotated[float, Field(gt=0)] = 1.5185
    """How far from its source a detection may lie, in 95 % radii of both; 1.5185: 99.9 %."""
    within_deg: Annotated[float, Field(gt=0, le=2)] = 0.5
