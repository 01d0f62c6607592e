"""The mass model: an aluminium box around four wafers, as a TOML file.

Axes: z along the optical axis, the telescope at +z, so the wafers are entered from +z and the board lies behind them
at -z; x and y as the columns and rows of the focal plane. The origin is the centre of the box.
"""

import hashlib
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from config.errors import ConfigError
from config.faults import faults_of
from config.schema import QuadrantLayout
from config.section import NonNegative, Positive, Section

SHIPPED = Path(__file__).parent
Material = Literal["Al", "Si", "C", "Ti", "Cu", "Mo", "Sn", "Ta", "W", "Au", "kapton", "board"]
Length3 = Annotated[list[Positive], Field(min_length=3, max_length=3)]
Length2 = Annotated[list[Positive], Field(min_length=2, max_length=2)]
CutUm = Annotated[float, Field(ge=0.1, le=10_000)]


class Skin(Section):
    """The outermost part of a solid that looks at the wafers: electrons are followed further here."""

    depth_um: Positive
    """From the surface."""
    cut_um: CutUm
    """Range below which secondaries are not produced."""


class Layer(Section):
    """A sheet of one material."""

    material: Material
    thickness_um: Positive
    cut_um: CutUm = 1.0


class Box(Section):
    """Closed on all sides, unless it has an opening towards the telescope."""

    material: Material = "Al"
    inner_mm: Length3
    wall_mm: Positive
    cut_um: CutUm = 100.0
    skins: list[Skin] = Field(default_factory=list)
    """Of the inner surface, deepest first; they are part of the wall."""
    shield: list[Layer] = Field(default_factory=list)
    """Graded shield inside the wall, from outside in; the cavity becomes smaller by it."""
    opening_mm: NonNegative = 0.0
    """Side of the square hole in the +z side, through wall and shield."""


class Board(Section):
    """The sensor board behind the wafers."""

    material: Material = "Al"
    size_mm: Length2
    thickness_mm: Positive
    gap_mm: Positive
    """Empty space between the wafers and the board."""
    cut_um: CutUm = 100.0
    skins: list[Skin] = Field(default_factory=list)
    """On both faces and the sides, deepest first."""


class Filter(Section):
    """Sheets in front of the wafers, the first one nearest to them."""

    size_mm: Length2
    distance_mm: Positive
    """Between the wafers' entrance side and the first sheet."""
    layers: Annotated[list[Layer], Field(min_length=1)]


class Wafers(Section):
    """The sensors, one for each quadrant."""

    rows: Annotated[int, Field(ge=5, le=8192)]
    columns: Annotated[int, Field(ge=5, le=8192)]
    pixel_um: Positive
    thickness_um: Positive
    z_mm: float
    """Their middle."""
    cut_um: CutUm = 1.0
    quadrants: Annotated[list[QuadrantLayout], Field(min_length=1)]


class Geometry(Section):
    """One mass model in front of one flux."""

    name: str
    sphere_radius_mm: Positive = 700.0
    """Where the flux is counted: primaries start on this sphere."""
    low_edge_ev: Annotated[float, Field(ge=100, le=990)] = 250.0
    """No production cut is below this energy."""
    box: Box
    board: Board | None = None
    filter: Filter | None = None
    wafers: Wafers

    @property
    def outer_mm(self) -> tuple[float, float, float]:
        """Half sides of the box, walls included."""
        x, y, z = (side / 2 + self.box.wall_mm for side in self.box.inner_mm)
        return x, y, z

    @property
    def aimed_fraction(self) -> float:
        """Share of an isotropic flux through the sphere that meets the box: the ratio of their surfaces (Cauchy)."""
        a, b, c = self.outer_mm
        return 8 * (a * b + b * c + c * a) / (4 * math.pi * self.sphere_radius_mm**2)

    @property
    def area_cm2(self) -> float:
        """Sensitive area of all wafers."""
        wafer = self.wafers.rows * self.wafers.columns * (self.wafers.pixel_um * 1e-4) ** 2
        return wafer * len(self.wafers.quadrants)

    @property
    def cavity_mm(self) -> tuple[float, float, float]:
        """Half sides of the empty inside."""
        shield = sum(layer.thickness_um for layer in self.box.shield) * 1e-3
        x, y, z = (side / 2 - shield for side in self.box.inner_mm)
        return x, y, z

    def corner_mm(self, quadrant: QuadrantLayout) -> tuple[float, float]:
        """Return x, y of the outer corner of pixel (0, 0); all quadrants together are centred on the axis."""
        wafers = self.wafers
        xs, ys = [q.origin_x_px for q in wafers.quadrants], [q.origin_y_px for q in wafers.quadrants]
        middle_x = (min(xs) + max(xs) + wafers.columns) / 2
        middle_y = (min(ys) + max(ys) + wafers.rows) / 2
        pixel = wafers.pixel_um * 1e-3
        return (quadrant.origin_x_px - middle_x) * pixel, (quadrant.origin_y_px - middle_y) * pixel

    @model_validator(mode="after")
    def _possible(self) -> "Geometry":
        faults = [*self._overlaps()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _overlaps(self) -> Iterator[str]:
        box, board, wafers = self.box, self.board, self.wafers
        half, inside = wafers.thickness_um * 0.5e-3, self.cavity_mm
        if min(inside) <= 0:
            yield f"box.shield: thinner than half of box.inner_mm {box.inner_mm}"
            return
        if math.hypot(*self.outer_mm) >= self.sphere_radius_mm:
            yield f"sphere_radius_mm: above {math.hypot(*self.outer_mm):.0f}, the corners of the box"
        for what, solid, room in (
            ("box", box, box.wall_mm),
            ("board", board, min(board.thickness_mm, *board.size_mm) / 2 if board else 0),
        ):
            depths = [skin.depth_um * 1e-3 for skin in (solid.skins if solid else [])]
            if depths != sorted(set(depths), reverse=True) or max(depths, default=0) >= (room or 1):
                yield f"{what}.skins: depths that fall, all below {room:g} mm"
        wide_x = max(abs(self.corner_mm(q)[0] + d) for q in wafers.quadrants for d in (0, self._side_mm[0]))
        wide_y = max(abs(self.corner_mm(q)[1] + d) for q in wafers.quadrants for d in (0, self._side_mm[1]))
        if wide_x >= inside[0] or wide_y >= inside[1] or abs(wafers.z_mm) + half >= inside[2]:
            yield f"wafers: inside the cavity of +-{inside[0]:g} x +-{inside[1]:g} x +-{inside[2]:g} mm"
        if len({q.id for q in wafers.quadrants}) != len(wafers.quadrants) or self._wafers_touch():
            yield "wafers.quadrants: different ids and no overlap"
        if board and (
            wafers.z_mm - half - board.gap_mm - board.thickness_mm <= -inside[2]
            or board.size_mm[0] / 2 >= inside[0]
            or board.size_mm[1] / 2 >= inside[1]
        ):
            yield "board: inside the cavity"
        if self.filter:
            top = wafers.z_mm + half + self.filter.distance_mm
            top += sum(layer.thickness_um for layer in self.filter.layers) * 1e-3
            if top >= inside[2] or any(s / 2 >= i for s, i in zip(self.filter.size_mm, inside, strict=False)):
                yield "filter: inside the cavity"
        if box.opening_mm / 2 >= min(inside[:2]):
            yield f"box.opening_mm: below {2 * min(inside[:2]):g}"

    @property
    def _side_mm(self) -> tuple[float, float]:
        pixel = self.wafers.pixel_um * 1e-3
        return self.wafers.columns * pixel, self.wafers.rows * pixel

    def _wafers_touch(self) -> bool:
        wafers = self.wafers
        places = [(q.origin_x_px, q.origin_y_px) for q in wafers.quadrants]
        return any(
            abs(ax - bx) < wafers.columns and abs(ay - by) < wafers.rows
            for i, (ax, ay) in enumerate(places)
            for bx, by in places[:i]
        )


def load_geometry(name: str) -> tuple[Geometry, str]:
    """Return a mass model and its TOML text: a file, or a shipped name (`close`, `open`, `graded`).

    Raises ConfigError naming the file and every key that does not hold.
    """
    path = Path(name) if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
        raise ConfigError(f"geometry {name}: expected a TOML file or one of {shipped}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse_geometry(text, str(path)), text


def parse_geometry(text: str, where: str) -> Geometry:
    """Return the mass model of a TOML text; `where` names it in errors (ConfigError)."""
    try:
        return Geometry.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from None
    except ValidationError as error:
        said = ((".".join(map(str, place)), what) for place, what in faults_of(error, Geometry))
        faults = (f"{key}: {what}" if key else what for key, what in said)
        raise ConfigError(f"{where}: impossible geometry: {'; '.join(faults)}") from None


def digest_of(geometry: Geometry) -> str:
    """Return a digest of everything that the physics sees."""
    return hashlib.sha256(geometry.model_dump_json().encode()).hexdigest()[:16]
