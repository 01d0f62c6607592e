"""The configuration: typed, strict, frozen. Keys end in their unit."""

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import Field, model_validator

from config.section import NonNegative, Positive, Section
from config.simulate import Simulate

Count = Annotated[int, Field(ge=1)]
Mask = Annotated[int, Field(ge=0, le=255)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class QuadrantLayout(Section):
    """One quadrant of the camera."""

    id: Annotated[int, Field(ge=0, le=255)]
    origin_x_px: int
    """Column of its pixel (0, 0) in the focal plane, real gaps included."""
    origin_y_px: int


class Detector(Section):
    """The camera that this configuration expects."""

    telescope: str
    instrument: str
    rows: Annotated[int, Field(ge=5, le=8192)]
    columns: Annotated[int, Field(ge=5, le=8192)]
    pixel_um: Positive
    frame_time_s: Positive
    gain_ev_per_adu: Positive
    adc_max_adu: Positive = 65535.0
    quadrants: list[QuadrantLayout] = Field(default_factory=list)
    """Empty: the geometry is taken from the stream (converted observations of several modes)."""


class Receive(Section):
    """Order and completeness of the frames."""

    reorder_window_frames: Annotated[int, Field(ge=0, le=4096)] = 8
    """How many later frames of its quadrant may pass before a missing frame is declared a gap."""


class Correct(Section):
    """Offset, noise, common mode, bad pixels."""

    maps: str = ""
    """Map file (`raysieve calibrate-dark`) or recording with maps; relative to the working directory."""
    common_mode: Literal["row", "none"] = "row"
    common_mode_limit_adu: Annotated[float, Field(gt=0, le=8192)] = 450.0
    """No working detector has more. A frame most of whose rows have is dead (stuck, saturated, not read)."""
    track: bool = True
    """Follow offset and noise from pixels without signal."""
    track_every: Annotated[int, Field(ge=1, le=64)] = 8
    """Each row is followed in every n-th frame."""
    track_shift: Annotated[int, Field(ge=3, le=16)] = 8
    """Weight of a new value is 2**-shift: time constant = track_every * 2**shift frames."""
    clip_sigma: Annotated[float, Field(ge=2, le=10)] = 4.0
    hot_frames: Annotated[int, Field(ge=2, le=100)] = 8
    """A pixel above the event threshold this many frames in a row is hot."""
    find_bad: bool = True
    flicker_window_frames: Annotated[int, Field(ge=50, le=65_000)] = 1000
    flicker_hits: Annotated[int, Field(ge=3)] = 12
    """Hits in one window that make a pixel flickering, if its eight neighbours do not share them."""


class ChargeLoss(Section):
    """Mean energy lost below the split threshold, by pattern; added to the sum (`raysieve simulate charge-loss`)."""

    energy_ev: list[float]
    single_ev: list[float]
    double_ev: list[float]
    triple_ev: list[float]
    quad_ev: list[float]

    @model_validator(mode="after")
    def _same_length(self) -> "ChargeLoss":
        columns = (self.single_ev, self.double_ev, self.triple_ev, self.quad_ev)
        if not self.energy_ev or any(len(c) != len(self.energy_ev) for c in columns):
            raise ValueError("energy_ev and the four columns must have one value per energy, at least one")
        if any(b <= a for a, b in zip(self.energy_ev, self.energy_ev[1:], strict=False)):
            raise ValueError("energy_ev must rise")
        return self


class Grades(Section):
    """The mission's grade of each neighbour mask (FLTGRADE bits: 1 2 4 / 8 . 16 / 32 64 128 from low y)."""

    masks: dict[str, list[Mask]]
    """Grade -> masks."""
    otherwise: int

    @model_validator(mode="after")
    def _once(self) -> "Grades":
        seen: dict[int, str] = {}
        for grade, masks in self.masks.items():
            if not grade.isdigit():
                raise ValueError(f"grade {grade!r} is not a number")
            for mask in masks:
                if mask in seen:
                    raise ValueError(f"mask {mask} is in grade {seen[mask]} and in grade {grade}")
                seen[mask] = grade
        return self


RejectReason = Literal["pattern", "outer_ring", "mip", "in_track", "bad_pixel"]


class Reconstruct(Section):
    """Events and tracks. Exactly one event threshold and one split threshold.

    A hit is above the event threshold, compared in whole ADU; a pixel at or above split belongs to an event.
    """

    event_threshold_ev: Positive | None = None
    event_threshold_adu: Positive | None = None
    event_threshold_sigma: Positive | None = None
    """Of the noise map, per pixel, rounded up to a whole ADU as on-board tables are."""
    split_threshold_ev: Positive | None = None
    split_threshold_adu: Positive | None = None
    split_threshold_sigma: Positive | None = None
    quadrant_event_threshold_adu: dict[str, Positive] = Field(default_factory=dict)
    """Quadrant id -> its own event threshold (chips of different kind in one camera)."""
    sum_window: Literal[3, 5] = 3
    """The energy is the sum of the pixels at or above split in this window."""
    sum_corner_grades: list[int] | None = None
    """If given: corners of the 3x3 window are summed only in these mission grades, and only between two sides."""
    border_px: Annotated[int, Field(ge=0, le=16)] = 0
    """No event has its centre in the outermost pixels of a quadrant."""
    outer_ring_invalidates: bool = True
    """A split event with signal in its outer ring gets pattern 13 (the "very faint" rule)."""
    mip_threshold_ev: Positive = 10_000.0
    reject: list[RejectReason] = Field(default=["pattern", "outer_ring", "mip"])
    """What sends an event to REJECTED; the rest is only flagged."""
    track_pixels: Annotated[int, Field(ge=2)] = 5
    """An island (8-neighbour, at or above split) of so many pixels is a particle track."""
    track_peak_ev: Positive = 15_000.0
    """So is one with a pixel above this; such pixels are the MIP pixels."""
    charge_cloud_px: Annotated[float, Field(gt=0, le=1)] = 0.12
    """Gaussian sigma of the charge cloud, for the position in the pixel."""
    charge_loss: ChargeLoss | None = None
    pi_channel_ev: Positive = 10.0
    pi_channels: Count = 1500
    grades: Grades
    max_hits: Count = 20_000
    """Pixels above the event threshold in one frame; above, the frame is a counted gap."""
    max_events: Annotated[int, Field(ge=1, le=10_000)] = 4_000
    """Of one frame; above, it is a counted gap as well."""
    join_window_frames: Annotated[int, Field(ge=1, le=4096)] = 16
    """How many later read-outs may begin before one is closed without its missing quadrants."""

    @model_validator(mode="after")
    def _one_threshold(self) -> "Reconstruct":
        for kind in ("event", "split"):
            keys = [f"{kind}_threshold_{unit}" for unit in ("ev", "adu", "sigma")]
            if sum(getattr(self, key) is not None for key in keys) != 1:
                raise ValueError(f"exactly one of {', '.join(keys)} is needed")
        if any(not key.isdigit() for key in self.quadrant_event_threshold_adu):
            raise ValueError("quadrant_event_threshold_adu: keys are quadrant ids")
        return self


class Screen(Section):
    """Rejection of particles that look like X-rays, by what else is in the read-out.

    What is judged is no more rejected by pattern or outer ring: the model replaces these cuts.
    """

    model: str = ""
    """Shipped name (models/store) or path of an ONNX file with its card beside it; empty: no screening."""
    look: Literal["islands", "windows"] = "islands"
    """What the model judges by: the islands of the whole read-out, or 64 x 64 windows around the candidates."""
    forest: str = ""
    """windows: the forest that judges the features of the maps; a shipped name or path."""
    max_lost_xray_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.0182
    """Of the X-rays in the band; the threshold for it is looked up in the model's card."""
    energy_min_ev: Positive = 300.0
    """Candidates are the events of this band, whatever their pattern."""
    energy_max_ev: Positive = 10_000.0
    provider: Literal["auto", "cpu", "openvino", "cuda", "tensorrt"] = "auto"
    """Where networks run; auto: the first of tensorrt, cuda, openvino, cpu that works."""
    batch_readouts: Annotated[int, Field(ge=1, le=64)] = 1
    """Read-outs judged together: a few save a tenth of the CPU, and each waits for the rest of them."""
    max_candidates: Count = 512
    """Of one batch; the others are marked UNSCREENED and kept."""
    tiling: bool = False
    """windows: every window of every frame instead of those with candidates, to measure what a network can take."""

    @model_validator(mode="after")
    def _band(self) -> "Screen":
        if self.energy_min_ev >= self.energy_max_ev:
            raise ValueError("energy_min_ev must be below energy_max_ev")
        if bool(self.forest) != (self.look == "windows" and bool(self.model)):
            raise ValueError('forest belongs to look = "windows", and to nothing else')
        if self.tiling and self.look != "windows":
            raise ValueError('tiling belongs to look = "windows"')
        return self


class Record(Section):
    """Event lists on disk."""

    interval_s: Positive = 10.0
    """Detector time after which what is held is written for good."""
    roll_s: Positive = 3600.0
    """Detector time after which a new file begins."""
    roll_bytes: Annotated[int, Field(ge=1_000_000)] = 1_000_000_000
    island: Literal[3, 5] = 3
    """Pixel values kept with each event: 3x3 or 5x5."""


class Accumulate(Section):
    """Images, exposure and light curve of an observation while it goes on, beside the way of the frames."""

    every_s: NonNegative = 0.0
    """Detector time from one product to the next; 0: nothing is accumulated, and there is no process for it."""
    bands_ev: Annotated[list[Pair], Field(min_length=1, max_length=8)] = Field(
        default=[[500.0, 1000.0], [1000.0, 2000.0], [2000.0, 8000.0]]
    )
    """Energy bands of the images: from, up to and without."""
    bin_px: Annotated[int, Field(ge=1, le=64)] = 1
    """Pixels of the camera along each side of one of the image."""
    window_s: NonNegative = 0.0
    """Detector time that is kept: the newest. 0: the whole observation, as long as `max_events` allows."""
    max_events: Annotated[int, Field(ge=1000)] = 5_000_000
    """Kept at most, 24 bytes each; the oldest intervals go first, and their exposure with them."""
    light_curve_s: Positive = 1.0
    """Width of a bin of the light curves."""
    vignetting: list[Pair] = Field(default=[])
    """Off-axis angle, arcmin, and the share of the area on axis that is left there; the exposure is multiplied with it.
    Between them a straight line. None: the exposure is time alone."""
    axis_px: Pair = Field(default=[0.0, 0.0])
    """Where the optical axis is, pixels of the focal plane."""
    arcsec_per_px: Positive = 2.2346
    """WFI: 130 micrometres at 12 m."""

    @model_validator(mode="after")
    def _bands(self) -> "Accumulate":
        angles = [angle for angle, _ in self.vignetting]
        if angles != sorted(set(angles)) or any(angle < 0 or not 0 < left <= 1 for angle, left in self.vignetting):
            raise ValueError("vignetting: expected pairs of rising angles from 0 on, shares above 0 up to 1")
        if any(not 0 <= low < high for low, high in self.bands_ev):
            raise ValueError("bands_ev: expected pairs, 0 <= from < up to")
        return self


class Classify(Section):
    """The X-ray sources in the images: found, measured, fitted, and how probable each class is."""

    rmf: str = ""
    """Response file (OGIP RMF, or RSP); relative to the working directory. Empty: no sources are looked for."""
    arf: str = ""
    """Effective area, for an RMF without it."""
    psf_fwhm_px: Positive = 4.0
    """Full width at half maximum of the PSF, in pixels of the camera. WFI: 9 arcsec on axis, 2.23 arcsec per pixel."""
    threshold_sigma: Annotated[float, Field(ge=3, le=20)] = 4.5
    model: str = "sources"
    """Shipped name (models/store) or path of an ONNX file with its card beside it; empty: no classes."""
    diffuse: bool = False
    """Also a map of the light between the sources, with its error: seconds more for each product."""
    regions: str = ""
    """DS9 region file (pixels of images.fits): spectra and light curves of these regions, too."""
    embed: Annotated[int, Field(ge=0, le=8)] = 0
    """Coordinates of a diffusion map of the sources' shapes, in SOURCES; 0: none. Of 50 sources and more."""
    latitude_deg: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Galactic latitude of the pointing, for the prior of the classes; none: that of the model's training."""


class Links(Section):
    """How the processes are connected."""

    transport: Literal["ipc", "tcp"] = "ipc"
    directory: str = ""
    """ipc: folder of the sockets; empty: the user's runtime folder."""
    host: str = "127.0.0.1"
    first_port: Annotated[int, Field(ge=1024, le=65000)] = 5570
    """tcp: the frames arrive here, the links between the stages follow."""
    hosts: dict[str, str] = Field(default_factory=dict)
    """tcp: where the links between the processes arrive, by name, if these run on several machines (`run --only`)."""
    frames_when_full: Literal["block", "shed"] = "block"
    """block: the camera waits, nothing is lost; shed: it never waits, the oldest read-outs are dropped and counted."""
    keys: str = ""
    """tcp: folder of CURVE keys (`raysieve keys`): only who has one may send. Needed beyond this machine."""
    silence_s: Positive = 30.0
    """After this time without a message in an open stream, the source counts as lost."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port on 127.0.0.1 where Prometheus finds the daemon's metrics; 0: none."""

    @model_validator(mode="after")
    def _guarded(self) -> "Links":
        for key, host in {"host": self.host, **{f"hosts.{name}": host for name, host in self.hosts.items()}}.items():
            if self.transport == "tcp" and not self.keys and not is_loopback(host):
                raise ValueError(f"links.{key} {host} is open to other machines: needs links.keys (`raysieve keys`)")
        if self.hosts and self.transport != "tcp":
            raise ValueError("links.hosts: other machines are reached by tcp only; expected links.transport = tcp")
        return self


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address; a name other than localhost counts as reachable."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Supervise(Section):
    """What the daemon does about processes that die or are stuck."""

    restarts: Annotated[int, Field(ge=0)] = 5
    """So many within the window; one more, and the daemon ends."""
    restart_window_s: Positive = 60.0
    stuck_s: Positive = 20.0
    """A process that says nothing for so long, once it is at work, is ended and replaced."""
    standby: bool = False
    """Keep a second process of each kind warm, to take the place of one that dies at once; costs its memory."""


class Config(Section):
    """One file is a whole instance, not a layer."""

    detector: Detector
    receive: Receive = Receive()
    correct: Correct = Correct()
    reconstruct: Reconstruct
    screen: Screen = Screen()
    record: Record = Record()
    accumulate: Accumulate = Accumulate()
    classify: Classify = Classify()
    links: Links = Links()
    supervise: Supervise = Supervise()
    simulate: Simulate = Simulate()

    @model_validator(mode="after")
    def _join_after_reorder(self) -> "Config":
        if self.reconstruct.join_window_frames <= self.receive.reorder_window_frames:
            raise ValueError("reconstruct.join_window_frames must be above receive.reorder_window_frames")
        if self.classify.rmf and not self.accumulate.every_s:
            raise ValueError("classify.rmf: sources are looked for in images; expected accumulate.every_s above 0")
        if self.classify.regions and not self.classify.rmf:
            raise ValueError("classify.regions: their spectra need the channels of a response; expected classify.rmf")
        return self
