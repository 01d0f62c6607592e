"""The mass model as Geant4 volumes, with a region of its own production cut for each."""

from typing import Any

from sim.geant4.geometry import Filter, Geometry

NIST = {
    "Al": "G4_Al",
    "Si": "G4_Si",
    "C": "G4_C",
    "Ti": "G4_Ti",
    "Cu": "G4_Cu",
    "Mo": "G4_Mo",
    "Sn": "G4_Sn",
    "Ta": "G4_Ta",
    "W": "G4_W",
    "Au": "G4_Au",
    "kapton": "G4_KAPTON",
}
VACUUM = "G4_Galactic"
BOARD_DENSITY_G_CM3 = 1.85  # FR4: glass fibre in epoxy
BOARD_MASS_SHARE = {"Si": 0.2805, "O": 0.3874, "C": 0.2774, "H": 0.0547}  # 60 % SiO2, 40 % (C15 H16 O2...) by mass
MARGIN_MM = 10.0  # of the world beyond the sphere


class World:
    """Builds the volumes once; keeps every Geant4 object alive, as Python would otherwise free them."""

    def __init__(self, g4: Any, geometry: Geometry) -> None:
        """g4: the geant4_pybind module."""
        self.g4, self.geometry = g4, geometry
        self.keep: list[Any] = []
        self.cuts_um: dict[str, float] = {}

    def build(self) -> tuple[Any, Any]:
        """Return the world (physical volume) and the wafers (one logical volume, copy number = place in the list)."""
        g4, geometry = self.g4, self.geometry
        orb = g4.G4Orb("world", geometry.sphere_radius_mm + MARGIN_MM)
        outside = g4.G4LogicalVolume(orb, self._material("vacuum"), "world")
        world = g4.G4PVPlacement(None, g4.G4ThreeVector(0, 0, 0), outside, "world", None, False, 0)
        self.keep += [orb, outside, world]
        cavity = self._box(outside)
        if geometry.board:
            self._board(cavity)
        if geometry.filter:
            self._filter(cavity, geometry.filter)
        return world, self._wafers(cavity)

    def _box(self, outside: Any) -> Any:
        """Place wall, skins, shield and cavity inside one another; return the cavity."""
        box = self.geometry.box
        inner = [side / 2 for side in box.inner_mm]
        half = inner
        solid = self._cuboid("wall", list(self.geometry.outer_mm), box.material, box.cut_um, outside)
        outermost = solid
        for i, skin in enumerate(box.skins):
            half = [side + skin.depth_um * 1e-3 for side in inner]
            solid = self._cuboid(f"wall_skin{i}", half, box.material, skin.cut_um, solid)
        half = inner
        for i, layer in enumerate(box.shield):
            solid = self._cuboid(f"shield{i}", half, layer.material, layer.cut_um, solid)
            half = [side - layer.thickness_um * 1e-3 for side in half]
        cavity = self._cuboid("cavity", half, "vacuum", None, solid)
        if box.opening_mm:
            self._opening(outermost, cavity)
        return cavity

    def _opening(self, outermost: Any, cavity: Any) -> None:
        """Put a shaft of vacuum through every layer of the +z side: one piece in each of the nested volumes."""
        side = self.geometry.box.opening_mm / 2
        volume = outermost
        while volume is not cavity:
            daughter = volume.GetDaughter(0).GetLogicalVolume()
            top, below = volume.GetSolid().GetZHalfLength(), daughter.GetSolid().GetZHalfLength()
            self._cuboid("opening", [side, side, (top - below) / 2], "vacuum", None, volume, (0, 0, (top + below) / 2))
            volume = daughter

    def _board(self, cavity: Any) -> None:
        geometry, board = self.geometry, self.geometry.board
        assert board is not None
        half = [board.size_mm[0] / 2, board.size_mm[1] / 2, board.thickness_mm / 2]
        back = geometry.wafers.z_mm - geometry.wafers.thickness_um * 0.5e-3
        place = (0.0, 0.0, back - board.gap_mm - board.thickness_mm / 2)
        cuts = [skin.cut_um for skin in reversed(board.skins)] + [board.cut_um]  # from the surface inwards
        depths = [0.0] + [skin.depth_um * 1e-3 for skin in reversed(board.skins)]
        mother = cavity
        for i, (cut, depth) in enumerate(zip(cuts, depths, strict=True)):
            sides = [side - depth for side in half]
            mother = self._cuboid(f"board{i}", sides, board.material, cut, mother, place if i == 0 else (0, 0, 0))

    def _filter(self, cavity: Any, sheets: Filter) -> None:
        wafers = self.geometry.wafers
        bottom = wafers.z_mm + wafers.thickness_um * 0.5e-3 + sheets.distance_mm
        for i, layer in enumerate(sheets.layers):
            thick = layer.thickness_um * 1e-3
            half = [sheets.size_mm[0] / 2, sheets.size_mm[1] / 2, thick / 2]
            self._cuboid(f"filter{i}", half, layer.material, layer.cut_um, cavity, (0, 0, bottom + thick / 2))
            bottom += thick

    def _wafers(self, cavity: Any) -> Any:
        g4, wafers = self.g4, self.geometry.wafers
        pixel = wafers.pixel_um * 1e-3
        half = (wafers.columns * pixel / 2, wafers.rows * pixel / 2, wafers.thickness_um * 0.5e-3)
        solid = g4.G4Box("wafer", *half)
        logical = g4.G4LogicalVolume(solid, self._material("Si"), "wafer")
        self.keep += [solid, logical]
        for copy, quadrant in enumerate(wafers.quadrants):
            x, y = self.geometry.corner_mm(quadrant)
            centre = g4.G4ThreeVector(x + half[0], y + half[1], wafers.z_mm)
            self.keep.append(g4.G4PVPlacement(None, centre, logical, "wafer", cavity, False, copy))
        self._region("wafer", logical, wafers.cut_um)
        return logical

    def _cuboid(
        self,
        name: str,
        half: list[float],
        material: str,
        cut_um: float | None,
        mother: Any,
        place: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Any:
        """Place a box of half sides (mm) in `mother`; return its logical volume."""
        g4 = self.g4
        solid = g4.G4Box(name, *half)
        logical = g4.G4LogicalVolume(solid, self._material(material), name)
        placed = g4.G4PVPlacement(None, g4.G4ThreeVector(*place), logical, name, mother, False, 0)
        self.keep += [solid, logical, placed]
        if cut_um is not None:
            self._region(name, logical, cut_um)
        return logical

    def _region(self, name: str, logical: Any, cut_um: float) -> None:
        region = self.g4.G4Region(name)
        region.AddRootLogicalVolume(logical)
        self.keep.append(region)
        self.cuts_um[name] = cut_um

    def _material(self, name: str) -> Any:
        nist = self.g4.G4NistManager.Instance()
        if name == "vacuum":
            return nist.FindOrBuildMaterial(VACUUM)
        if name != "board":
            return nist.FindOrBuildMaterial(NIST[name])
        known = self.g4.G4Material.GetMaterial("board", False)
        if known is not None:
            return known
        board = self.g4.G4Material("board", BOARD_DENSITY_G_CM3 * self.g4.g / self.g4.cm3, len(BOARD_MASS_SHARE))
        for symbol, share in BOARD_MASS_SHARE.items():
            board.AddElement(nist.FindOrBuildElement(symbol), share)
        self.keep.append(board)
        return board
