"""The simulated camera: what `raysieve simulate` makes frames with. The stream itself never looks at this section."""

from typing import Annotated

from pydantic import Field

from config.section import NonNegative, Positive, Section

Number = Annotated[int, Field(ge=0)]


class Sensor(Section):
    """The silicon. The defaults are the WFI's."""

    thickness_um: Positive = 450.0
    """Depleted depth: charge made below it is not collected."""
    temperature_k: Positive = 213.0
    bias_v: Positive = 61.4
    """Across the thickness, the field taken as constant: sets how far charge diffuses (`sim.diffusion`)."""
    cloud_um: NonNegative = 0.2
    """Gaussian sigma of the charge of one interaction before it drifts."""
    fano: Annotated[float, Field(ge=0, le=1)] = 0.119


class ReadOut(Section):
    """What the camera adds to the charge, and where it ends."""

    offset_mean_adu: NonNegative = 500.0
    offset_spread_adu: NonNegative = 10.0
    """Rms from pixel to pixel."""
    column_spread_adu: NonNegative = 5.0
    """Rms from column to column."""
    noise_e: NonNegative = 7.0
    """Rms of a pixel in one read-out."""
    noise_spread: Annotated[float, Field(ge=0, lt=0.3)] = 0.0
    """Rms from pixel to pixel, as a fraction of noise_e."""
    common_mode_rms_adu: NonNegative = 2.0
    """Of each row in each read-out."""
    clip_ev: Positive | None = None
    """Where the ADC ends in a pixel of mean offset; none: at the end of its own range."""
    cti: Annotated[float, Field(ge=0, lt=0.01)] = 0.0
    """Share of a pixel's charge that each parallel transfer leaves behind, in the pixel that follows; at most a tenth
    in all rows."""
    hot_pixels: Number = 4
    """In each quadrant, as the next two."""
    flickering_pixels: Number = 4
    dead_pixels: Number = 4


class Simulate(Section):
    """The simulated camera."""

    sensor: Sensor = Sensor()
    read_out: ReadOut = ReadOut()
