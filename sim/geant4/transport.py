"""Geant4 itself: protons in, steps in silicon out. One engine in a process; Geant4 allows no second one."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sim.extra import import_geant4
from sim.geant4.aim import Primaries
from sim.geant4.geometry import Geometry
from sim.geant4.world import World

Physics = Literal["full", "em"]
Known = tuple[int, int, str, float]  # PDG of a track, of who entered, where that was made, its energy on entering, MeV
PRIMARY_PROCESS = "primary"
QUIET = ("/process/em/verbose 0", "/process/had/verbose 0", "/run/verbose 0", "/tracking/verbose 0")
ELSEWHERE_CUT_MM = 0.7  # Geant4's default, for what has no region of its own: vacuum


@dataclass(slots=True)
class Collected:
    """What the wafers saw: one row for each passage of a particle, one for each step with energy."""

    segments: list[tuple[Any, ...]] = field(default_factory=list)
    steps: list[tuple[Any, ...]] = field(default_factory=list)


class Engine:
    """A geometry with physics, ready to track."""

    def __init__(self, geometry: Geometry, physics: Physics = "full") -> None:
        """Set up Geant4 (its data variables must be in the environment). Raises ConfigError without the sim extra."""
        self.g4 = g4 = import_geant4()
        self.world = World(g4, geometry)
        self._ledger = Ledger()
        self._wafers = _wafers_class(g4)(self._ledger)
        self._parts = (_detector_class(g4)(self.world, self._wafers), _list_class(g4)(physics))
        self._actions = _actions_class(g4)(self._ledger)
        self._manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.Serial)
        for part in (*self._parts, self._actions):
            self._manager.SetUserInitialization(part)
        command = g4.G4UImanager.GetUIpointer().ApplyCommand
        for line in QUIET:
            command(line)
        command(f"/cuts/setLowEdge {geometry.low_edge_ev} eV")
        command(f"/run/setCut {ELSEWHERE_CUT_MM} mm")
        self._manager.Initialize()
        for name, cut_um in self.world.cuts_um.items():
            command(f"/run/setCutForRegion {name} {cut_um} um")

    def track(self, primaries: Primaries) -> Collected:
        """Return what the primaries left. Each has random numbers of its own, whatever was tracked before.

        Raises RuntimeError if Geant4 did not track all of them.
        """
        number = len(primaries.energy_gev)
        self._actions.gun.load(primaries)
        self._manager.BeamOn(number)
        left = self._ledger.take()
        if self._actions.gun.next != number:
            raise RuntimeError(f"Geant4 tracked {self._actions.gun.next} of {number} primaries")
        return left


class Ledger:
    """What is known of the tracks of one primary, and what all of them left in silicon."""

    def __init__(self) -> None:
        self.out = Collected()
        self.begin(0)

    def begin(self, primary: int) -> None:
        """A new primary comes."""
        self.primary = primary
        self.open: dict[int, int] = {}  # track -> its present segment
        self.known: dict[int, Known] = {}  # tracks that came to a wafer
        self.kinds: dict[int, int] = {}  # PDG code of every track, also of those that never come to one

    def take(self) -> Collected:
        """Return what was collected and begin anew."""
        taken, self.out = self.out, Collected()
        self.begin(0)
        return taken

    def meet(self, track: Any, number: int, energy: float) -> None:
        """Note who brought a track into silicon; energy (MeV): its own on entering, 0 if it was made there."""
        self.open.pop(number, None)
        pdg, parent = track.GetDefinition().GetPDGEncoding(), self.known.get(track.GetParentID())
        if energy > 0 or parent is None:
            self.known[number] = (pdg, pdg, track.GetLogicalVolumeAtVertex().GetName(), energy)
        else:
            self.known[number] = (pdg, parent[1], parent[2], 0.0)

    def begin_segment(self, track: Any, begin: Any) -> int:
        """Note a segment that begins at a step point; return its number."""
        pdg, entering, origin, entry_mev = self.known[track.GetTrackID()]
        process, parent = track.GetCreatorProcess(), self.kinds.get(track.GetParentID(), 0)
        creator = process.GetProcessName() if process else PRIMARY_PROCESS
        wafer, place = track.GetVolume().GetCopyNo(), begin.GetPosition()
        who = (self.primary, wafer, pdg, creator, parent, entering, origin, entry_mev)
        self.out.segments.append((*who, place.x, place.y, place.z))
        return len(self.out.segments) - 1


def _wafers_class(g4: Any) -> Any:
    """Return the sensitive detector; a function, as the base class exists only where Geant4 does."""

    class Wafers(g4.G4VSensitiveDetector):  # type: ignore[misc]
        """Notes every step in silicon."""

        def __init__(self, ledger: Ledger) -> None:
            super().__init__("wafers")
            self.ledger = ledger

        def ProcessHits(self, step: Any, history: Any) -> bool:  # noqa: N802
            ledger = self.ledger
            track, before, after = step.GetTrack(), step.GetPreStepPoint(), step.GetPostStepPoint()
            energy, number = step.GetTotalEnergyDeposit(), track.GetTrackID()
            entered = before.GetStepStatus() == g4.fGeomBoundary
            if entered or number not in ledger.known:
                ledger.meet(track, number, before.GetKineticEnergy() if entered else 0.0)
            if energy <= 0:
                # A neutral particle leaves its energy at the end of its way; so does one that begins anew.
                ledger.open.pop(number, None)
                return False
            segment = ledger.open.get(number)
            if segment is None:
                charged = track.GetDefinition().GetPDGCharge() != 0
                segment = ledger.begin_segment(track, before if charged else after)
                if charged:
                    ledger.open[number] = segment
            place = after.GetPosition()
            ledger.out.steps.append((segment, place.x, place.y, place.z, energy))
            return True

    return Wafers


def _tracks_class(g4: Any) -> Any:
    """Return what is told of every track."""

    class Tracks(g4.G4UserTrackingAction):  # type: ignore[misc]
        """Notes what each track is: the parents of what comes to a wafer are often made far from it."""

        def __init__(self, ledger: Ledger) -> None:
            super().__init__()
            self.ledger = ledger

        def PreUserTrackingAction(self, track: Any) -> None:  # noqa: N802
            self.ledger.kinds[track.GetTrackID()] = track.GetDefinition().GetPDGEncoding()

    return Tracks


def _gun_class(g4: Any) -> Any:
    """Return the source of primaries."""

    class Gun(g4.G4VUserPrimaryGeneratorAction):  # type: ignore[misc]
        """Shoots the loaded primaries, one for each event."""

        def __init__(self, ledger: Ledger) -> None:
            super().__init__()
            self.ledger = ledger
            self.gun = g4.G4ParticleGun(1)

        def load(self, primaries: Primaries) -> None:
            """Take primaries."""
            self.starts, self.directions = primaries.start_mm.tolist(), primaries.direction.tolist()
            self.energies, self.seeds = primaries.energy_gev.tolist(), primaries.seeds.tolist()
            self.next = 0

        def GeneratePrimaries(self, event: Any) -> None:  # noqa: N802
            i = self.next
            self.next += 1
            g4.G4Random.setTheSeeds([*self.seeds[i], 0])  # two numbers, ended by 0; a third would be ignored
            self.ledger.begin(i)
            self.gun.SetParticleDefinition(g4.G4Proton.Definition())
            self.gun.SetParticleEnergy(self.energies[i] * g4.GeV)
            self.gun.SetParticlePosition(g4.G4ThreeVector(*self.starts[i]))
            self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(*self.directions[i]))
            self.gun.GeneratePrimaryVertex(event)

    return Gun


def _detector_class(g4: Any) -> Any:
    """Return the detector construction."""

    class Construction(g4.G4VUserDetectorConstruction):  # type: ignore[misc]
        """Hands the volumes to Geant4."""

        def __init__(self, world: World, wafers: Any) -> None:
            super().__init__()
            self.world, self.wafers = world, wafers

        def Construct(self) -> Any:  # noqa: N802
            placed, self.silicon = self.world.build()
            return placed

        def ConstructSDandField(self) -> None:  # noqa: N802
            g4.G4SDManager.GetSDMpointer().AddNewDetector(self.wafers)
            self.silicon.SetSensitiveDetector(self.wafers)

    return Construction


def _list_class(g4: Any) -> Any:
    """Return the physics list."""

    class Processes(g4.G4VModularPhysicsList):  # type: ignore[misc]
        """EmStandard; with `full` also FTFP_BERT and what belongs to it."""

        def __init__(self, physics: Physics) -> None:
            super().__init__()
            self.parts = [g4.G4EmStandardPhysics()]
            if physics == "full":
                self.parts += [
                    g4.G4EmExtraPhysics(),
                    g4.G4DecayPhysics(),
                    g4.G4HadronElasticPhysics(),
                    g4.G4HadronPhysicsFTFP_BERT(),
                    g4.G4StoppingPhysics(),
                    g4.G4IonPhysics(),
                ]
            for part in self.parts:
                self.RegisterPhysics(part)

    return Processes


def _actions_class(g4: Any) -> Any:
    """Return what introduces the gun."""

    class Actions(g4.G4VUserActionInitialization):  # type: ignore[misc]
        """A gun, and the names of the tracks; the rest is noted in the ledger."""

        def __init__(self, ledger: Ledger) -> None:
            super().__init__()
            self.ledger = ledger

        def Build(self) -> None:  # noqa: N802
            self.gun = _gun_class(g4)(self.ledger)  # Geant4 wants it after the physics list
            self.SetUserAction(self.gun)
            self.tracks = _tracks_class(g4)(self.ledger)
            self.SetUserAction(self.tracks)

    return Actions


def to_arrays(collected: Collected) -> dict[str, np.ndarray[Any, Any]]:
    """Return what was collected as columns; names of processes and volumes stay strings. Empty lists: no rows."""
    kinds = {
        "primary": "i8",
        "wafer": "u1",
        "particle": "i4",
        "creator": "U32",
        "parent": "i4",
        "entering": "i4",
        "origin": "U32",
        "entry_mev": "f8",
        "x": "f8",
        "y": "f8",
        "z": "f8",
    }
    columns = zip(*collected.segments, strict=True) if collected.segments else ((),) * len(kinds)
    arrays = {name: np.array(column, kind) for (name, kind), column in zip(kinds.items(), columns, strict=True)}
    steps = np.array(collected.steps, float).reshape(-1, 5)
    return arrays | {"step_segment": steps[:, 0].astype(np.int64), "step_end": steps[:, 1:4], "step_mev": steps[:, 4]}
