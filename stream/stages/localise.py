"""Product "sky" -> Product "detections": where the sources of each window of the gamma-ray sky are."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from config.localise import Localise as Section
from stream.judges.lat_mask import MaskJudge
from stream.lat.bands import DETECTION
from stream.lat.cube import MISSION, new_maps
from stream.lat.exposure import SURVEY_LIVE, YEAR_S, Exposure, survey
from stream.lat.glance import Glance, Photons
from stream.lat.inputs import inputs_of
from stream.lat.instrument import Instrument
from stream.lat.patch import LAT
from stream.lat.psf import profiles_of
from stream.lat.search import search
from stream.lat.sky import Diffuse, expect
from stream.lat.smear import smearing
from stream.lat.whole import BRIGHT, Mask, Survey, search_sky
from stream.messages import Message, Product
from stream.stages.accumulate_sky import SkyProduct

YOUNGEST_S = SURVEY_LIVE * YEAR_S  # livetime from which the network is asked: it has learned from 1 to 12 years
FEW = 100_000  # photons below which a window has no source so bright that it shines into other patches


class Localise:
    """Searches the whole sky of each window that it is told to, and gives "detections" after the product "sky".

    A window whose exposure is not known is not searched: `without_exposure`. The search of the mission begins with the
    bright sources that it found the last time, and a network says how probable each of its sources is: those that are
    not probable enough are left out, `improbable`. Everything passes.
    """

    name = "localise"

    def __init__(self, section: Section, instrument: Instrument, diffuse: Diffuse) -> None:
        """Raises ModelError for a model that is no localisation network."""
        self._section, self._instrument, self._diffuse = section, instrument, diffuse
        self._profiles = profiles_of(instrument, LAT.blur_deg)
        self._smear = smearing(diffuse, self._profiles)
        self._bright: NDArray[np.void] | None = None  # of the mission
        asked = bool(section.model) and MISSION in section.windows
        self._network = MaskJudge(section.model) if asked else None
        self.counters: Counter[str] = Counter()
        self._warm_up()

    @property
    def about(self) -> dict[str, str]:
        """What is expected of the sky, and what judges its sources."""
        said = {"diffuse light": self._diffuse.about, "responses": self._instrument.about}
        return said | (dict(self._network.about) if self._network else {})

    def process(self, message: Message) -> Iterable[Message]:
        """Product "sky": pass it, then give what is in its windows."""
        if not isinstance(message, SkyProduct):
            return (message,)
        return [message, *self._found(message)]

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()

    def _warm_up(self) -> None:
        """Search an empty patch with one bright pixel, of the mission's maps and of a window's: all is compiled."""
        exposure, place = survey(self._instrument, 0.1), (0.0, 60.0)
        given = Survey(expect(self._diffuse, exposure, self._smear), exposure, self._profiles)
        given.scene(new_maps(), *place)
        maps = new_maps([np.uint16] * len(LAT.grids))
        if (photons := Photons.of(maps)) is not None:
            Glance.over(photons, given.expected, exposure, self._profiles, np.array([place])).may_hold(0, BRIGHT)
        scene = given.scene(maps, *place)
        side = int(LAT.layout[-1, 1])
        LAT.image(scene.patch.counts, len(LAT.scale) - 1)[side // 2, side // 2] = 60
        search(scene)

    def _found(self, sky: SkyProduct) -> Iterable[Product]:
        for name in self._section.windows:
            window = sky.windows.get(name)
            if window is None:
                continue
            exposure = sky.exposure(name)
            if exposure is None:
                self.counters["without_exposure"] += 1
                continue
            known = self._known(name, int(window.totals().sum()))
            mask = self._mask if name == MISSION and exposure.live_s >= YOUNGEST_S else None
            found = self._search(window.maps(), exposure, known, mask)
            if name == MISSION:
                self._bright = found[found["ts"] >= BRIGHT]
                found = self._probable(found)
            self.counters[f"sources {name}"] = len(found)
            header = {key: value for key, value in sky.header.items() if key not in ("TSTART", "TSTOP")}
            header |= {"WINDOW": name, "TSTART": window.start_s, "TSTOP": window.stop_s, "DIFFUSE": self._diffuse.about}
            header |= {"LOCNET": str(self.about.get("localisation network", "")) if mask else ""}
            header |= {"NSOURCES": len(found), "THRESH": self._section.least_ts, "ONTIME": window.ontime_s}
            yield Product(
                stream=sky.stream, kind="detections", sequence=sky.sequence, time_ns=sky.time_ns, header=header,
                tables={"DETECTIONS": found},
            )  # fmt: skip

    def _known(self, name: str, photons: int) -> NDArray[np.void] | None:
        if name == MISSION and self._bright is not None:
            return self._bright
        return np.zeros(0, DETECTION) if photons < FEW else None

    def _search(
        self, maps: list[NDArray[np.uint16]], exposure: Exposure, known: NDArray[np.void] | None, mask: Mask | None
    ) -> NDArray[np.void]:
        expected = expect(self._diffuse, exposure, self._smear)
        section = self._section
        given = Survey(expected, exposure, self._profiles, section.threads, mask, section.network_within_deg)
        return search_sky(given, maps, section.least_ts, known)

    @property
    def _mask(self) -> Mask | None:
        network = self._network
        return None if network is None else lambda scene: network.judge(inputs_of(scene))

    def _probable(self, found: NDArray[np.void]) -> NDArray[np.void]:
        kept = found[~(found["probability"] < self._section.least_probability)]  # NaN: not asked
        self.counters["improbable"] += len(found) - len(kept)
        kept["id"] = np.arange(1, len(kept) + 1)
        return kept
