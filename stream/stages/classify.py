"""Product "images" -> Product "sources": what X-ray sources are in them, and how probable each class is."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from stream.errors import ConfigError
from stream.imaging.diffuse import diffuse_map
from stream.imaging.embedding import embed
from stream.imaging.image import FWHM
from stream.imaging.regions import Regions, measure_regions
from stream.judges.catalogue import BAND_KEV, MODELS, Catalogue, Seen, make_catalogue
from stream.judges.sources import Judge, Posterior, columns_to_features
from stream.messages import Message, Product, Start
from stream.spectra.response import Response

SHAPES = ("log_fwhm_ratio", "extent_sigma", "concentration", "log_local_density", "neighbours", "log_nearest_bright_px")
LEAST_EMBEDDED = 50  # sources: fewer make no map
LONGEST_CURVE = 4096  # bins of a light curve in the product: wider ones then


class Classify:
    """Finds the sources of every product "images" anew, and gives "sources" after it: it knows more each time.

    Tables: SOURCES (a row for each, brightest first: place, features and errors, P of each class), SPECTRA (counts by
    channel of the response, and those of its background), FITTED (the bins of its fit), LIGHTCURVES, and DIFFUSE if it
    was asked for. A response is needed; without a model there are no classes. Everything passes.
    """

    name = "classify"

    def __init__(self, config: Config, response: Response | None, regions: Regions | None = None) -> None:
        """regions: whose spectra and light curves are given as well, whatever is found.

        Raises ModelError for a model that cannot be used, ConfigError for a response without channels to fit, and for a
        model of a camera with another PSF.
        """
        self._section = config.classify
        self._response, self._regions = response, regions or Regions()
        self._judge = judge_of(config) if response is not None else None
        self.counters: Counter[str] = Counter()
        self._last: Catalogue | None = None  # of the open observation
        if response is not None:
            made = warm_up(response)
            if self._section.diffuse:
                diffuse_table(*made)

    @property
    def about(self) -> dict[str, str]:
        """What it runs, and where; empty without a response."""
        if self._response is None:
            return {}
        model = dict(self._judge.about) if self._judge else {"classes": "no model"}
        area = {} if self._response.has_area else {"no area": "(--arf, classify.arf), so no fits and no fluxes"}
        return {**model, "response": self._section.rmf, **area}

    def process(self, message: Message) -> Iterable[Message]:
        """Product "images": pass it, then give what is in it."""
        if isinstance(message, Start):
            self._last = None
        if self._response is None or not isinstance(message, Product) or message.kind != "images":
            return (message,)
        return [message, self._sources(message, self._response)]

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()

    def _sources(self, images: Product, response: Response) -> Product:
        seen = seen_in(images, response, self._section.psf_fwhm_px)
        found = self._last = make_catalogue(seen, self._section.threshold_sigma, self._last)
        told = self._told(found)
        self.counters["sources"] = len(found)
        self.counters["not fitted"] = sum(fit is None or not fit.converged for fit in next(iter(found.fits.values())))
        header = dict(images.header)
        header |= {"RESPFILE": self._section.rmf, "ANCRFILE": self._section.arf or "none"}
        header |= {"CHANNEL1": int(response.channel[0])}
        header |= {"NSOURCES": len(found), "THRESH": self._section.threshold_sigma}
        if self._judge is not None:
            header |= {f"CLASS{k}": name for k, name in enumerate(self._judge.classes)}
            header |= {"MODEL": str(self._judge.about["classes"])}
        tables = {
            "SOURCES": source_table(found, told, int(images.header["BIN_PX"]), self._section.embed),
            "SPECTRA": spectrum_table(found),
            "FITTED": fitted_table(found, response),
            "LIGHTCURVES": light_curves(images, found),
        }
        if self._section.diffuse:
            tables["DIFFUSE"] = diffuse_table(seen, found)
        if self._regions.sources:
            first, channels = int(response.channel[0]), len(response.channel)
            place = seen.channel.astype(np.int64) - first
            tables["REGIONS"] = measure_regions(self._regions, seen.exposure_s, (seen.x, seen.y), place, channels)
            tables["REGION_CURVES"] = region_curves(images, seen, self._regions)
        return Product(
            stream=images.stream,
            kind="sources",
            sequence=images.sequence,
            time_ns=images.time_ns,
            header=header,
            tables={name: table for name, table in tables.items() if table.dtype.names},
        )

    def _told(self, found: Catalogue) -> Posterior | None:
        if self._judge is None or not len(found):
            return None
        x, error = columns_to_features(self._judge.features, found.columns, len(found))
        latitude = self._section.latitude_deg
        prior = None if latitude is None else self._judge.prior_at(np.full(len(found), latitude))
        return self._judge.judge(x, error, prior)


def judge_of(config: Config) -> Judge | None:
    """Return the judge of classes, None for no model. Raises ModelError, and ConfigError for one of another PSF."""
    section, size = config.classify, config.accumulate.bin_px
    judge = Judge(section.model) if section.model else None
    if judge is not None and not judge.fits(section.psf_fwhm_px / size):  # features are in pixels of the image
        binned = f" with accumulate.bin_px {size}" if size > 1 else ""
        raise ConfigError(
            f"classify.model: {section.model} is made for a PSF of {judge.psf_fwhm_px:.1f} px, "
            f"classify.psf_fwhm_px is {section.psf_fwhm_px:g}{binned}: expected a model of this camera, or none"
        )
    return judge


def warm_up(response: Response) -> tuple[Seen, Catalogue]:
    """Find and fit one made source, so that all is compiled; return both. Raises ConfigError if none can be fitted."""
    try:
        response.band(*BAND_KEV)
    except ValueError as fault:
        raise ConfigError(f"classify.rmf: {fault}") from None
    rng, side, counts = np.random.default_rng(0), 48, 400
    energy = rng.uniform(*BAND_KEV, counts)
    place = np.clip(np.searchsorted(np.sort(response.e_min_kev), energy) - 1, 0, len(response.channel) - 1)
    near = rng.random(counts) < 0.7
    x, y = np.where(near, side / 2 + 1.7 * rng.standard_normal((2, counts)), rng.uniform(0, side - 1, (2, counts)))
    even = np.ones((side, side))
    seen = Seen(x, y, energy, rng.random(counts), response.channel[place], even, response, 1.7)
    return seen, make_catalogue(seen)


def seen_in(images: Product, response: Response, psf_fwhm_px: float) -> Seen:
    """Return what a product "images" holds, in pixels of the image and channels of the response.

    Raises ConfigError if the response has no channel for any energy of the camera.
    """
    events, size = images.tables["EVENTS"], int(images.header["BIN_PX"])
    energy = np.asarray(events["ENERGY"], np.float64) / 1000
    low, high = response.e_min_kev, response.e_max_kev
    if not high.max() > low.min():
        raise ConfigError("classify.rmf: its EBOUNDS hold no energies")
    order = np.argsort(low)
    place = np.clip(np.searchsorted(low[order], energy, side="right") - 1, 0, len(low) - 1)
    inside = (energy >= low.min()) & (energy < high.max())
    channel = np.where(inside, response.channel[order][place], response.channel.min() - 1)
    return Seen(
        x=(events["X"] + 0.5) / size - 0.5,
        y=(events["Y"] + 0.5) / size - 0.5,
        energy_kev=energy,
        time_s=events["TIME"],
        channel=channel,
        exposure_s=images.tables["EXPOSURE"]["EXPOSURE"][0].astype(np.float64),
        response=response,
        psf_sigma_px=psf_fwhm_px / FWHM / size,
    )


def source_table(found: Catalogue, told: Posterior | None, bin_px: int, embed_in: int = 0) -> NDArray[np.void]:
    """Return SOURCES: ID, X and Y in pixels of the camera, NET_COUNTS, FLAG, the features, and what the judge says.

    embed_in: coordinates DIFFUSION of the catalogue's own diffusion map of shapes, 0: none.
    """
    sources = found.detections.sources
    features = {name.upper(): values for name, values in found.columns.items() if name not in ("x", "y")}
    columns: dict[str, NDArray[np.generic]] = {
        "ID": sources["id"],
        "X": (sources["x"] + 0.5) * bin_px - 0.5,
        "Y": (sources["y"] + 0.5) * bin_px - 0.5,
        "XY_ERROR": np.hypot(sources["x_error"], sources["y_error"]) * bin_px / np.sqrt(2),
        "NET_COUNTS": sources["net_counts"],
        "NET_ERROR": sources["net_error"],
        "SIGNIFICANCE": sources["significance"],
        "FLAG": sources["flag"],
        **features,
    }
    if embed_in:
        shapes = np.stack([found.columns[name] for name in SHAPES], axis=1)
        enough = len(found) >= LEAST_EMBEDDED
        columns["DIFFUSION"] = (
            embed(shapes, embed_in).coordinates if enough else np.full((len(found), embed_in), np.nan)
        )
    if told is not None:
        columns |= {"P": told.p, "P_OUTLIER": told.outlier, "HYPERSCORE": told.hyperscore}
        columns |= {"LOG_EVIDENCE": told.log_evidence, "CLASS": told.p.argmax(axis=1)}
    kinds = {"ID": "<i4", "FLAG": "<i4", "CLASS": "<i4", "X": "<f8", "Y": "<f8", "NET_COUNTS": "<f8"}
    types = [(name, kinds.get(name, "<f4"), values.shape[1:]) for name, values in columns.items()]
    table = np.empty(len(found), types)
    for name, values in columns.items():
        table[name] = values
    return table


def spectrum_table(found: Catalogue) -> NDArray[np.void]:
    """Return SPECTRA: counts by channel of each source and of its background, with their exposures and scales."""
    m = len(found.spectra[0].counts) if found.spectra else 0
    if not m:
        return np.empty(0, np.dtype([]))
    parts = [("ID", "<i4"), ("EXPOSURE", "<f8"), ("BACKSCAL", "<f8"), ("COUNTS", "<i4", (m,))]
    parts += [("BACK_EXPOSURE", "<f8"), ("BACK_BACKSCAL", "<f8"), ("BACK_COUNTS", "<i4", (m,))]
    table = np.zeros(len(found), parts)
    for row, number, spectrum in zip(table, found.detections.sources["id"], found.spectra, strict=True):
        row["ID"] = number
        for prefix, one in (("", spectrum), ("BACK_", spectrum.background)):
            if one is not None:
                row[f"{prefix}COUNTS"], row[f"{prefix}EXPOSURE"] = np.rint(one.counts), one.exposure_s
                row[f"{prefix}BACKSCAL"] = one.backscal[0]
    return table


def fitted_table(found: Catalogue, response: Response) -> NDArray[np.void]:
    """Return FITTED, a row for each fit of a power law: its BINS, and of each E_LO and E_HI (keV) and three counts.

    COUNTS in the circle; BACKGROUND there by what is around; MODEL, of the source alone. NaN beyond the last bin.
    """
    fits = [(k, fit) for k, fit in enumerate(found.fits[MODELS[0]]) if fit is not None and fit.converged]
    most = max((fit.bins for _, fit in fits), default=0)
    if not most:
        return np.empty(0, np.dtype([]))
    names = ("E_LO", "E_HI", "COUNTS", "BACKGROUND", "MODEL")
    table = np.zeros(len(fits), [("ID", "<i4"), ("BINS", "<i4"), *((name, "<f4", (most,)) for name in names)])
    for row, (k, fit) in zip(table, fits, strict=True):
        data, inside = fit.data, fit.data.band.channels
        low, high = (edges[inside] for edges in (response.e_min_kev, response.e_max_kev))
        behind = data.alpha * data.off if len(data.off) else np.zeros(fit.bins)
        row["ID"], row["BINS"] = found.detections.sources["id"][k], fit.bins
        columns = data.bins.edges(low, high), (data.counts, behind, fit.source_counts)
        for name, values in zip(names, (*columns[0], *columns[1]), strict=True):
            row[name] = np.nan
            row[name][: fit.bins] = values
    return table


def diffuse_table(seen: Seen, found: Catalogue) -> NDArray[np.void]:
    """Return DIFFUSE, one row: RATE and ERROR of the light between the sources, (rows, columns) counts s-1 px-1.

    Of the band that sources are looked for in. NaN without exposure.
    """
    made = diffuse_map(seen.image(*BAND_KEV), seen.exposure_s, found.detections, seen.psf_sigma_px)
    table = np.empty(1, [(name, "<f4", made.rate.shape) for name in ("RATE", "ERROR")])
    table["RATE"], table["ERROR"] = made.rate, made.error
    return table


def region_curves(images: Product, seen: Seen, regions: Regions) -> NDArray[np.void]:
    """Return REGION_CURVES: TIME of each bin, its exposed part, counts in each region, all energies kept."""
    camera = images.tables["LIGHTCURVE"]
    if not len(camera):
        return np.empty(0, np.dtype([]))
    mine, _ = regions.masks(seen.exposure_s)
    table = np.zeros(len(camera), [("TIME", "<f8"), ("FRACEXP", "<f4"), ("COUNTS", "<i4", (len(mine),))])
    table["TIME"], table["FRACEXP"] = camera["TIME"], camera["FRACEXP"]
    width = float(camera["TIME"][1] - camera["TIME"][0]) if len(camera) > 1 else np.inf
    at = np.clip((seen.time_s - (camera["TIME"][0] - width / 2)) / width, 0, len(camera) - 1).astype(np.int64)
    rows, columns = seen.exposure_s.shape
    x, y = np.rint(seen.x).astype(np.int64), np.rint(seen.y).astype(np.int64)
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    for k, mask in enumerate(mine):
        chosen = np.flatnonzero(inside)[mask[y[inside], x[inside]]]
        table["COUNTS"][:, k] = np.bincount(at[chosen], minlength=len(camera))
    return table


def light_curves(images: Product, found: Catalogue) -> NDArray[np.void]:
    """Return LIGHTCURVES: TIME of each bin, its exposed part, counts within 1 FWHM of each source, all energies kept.

    Bins are those of the camera's light curve, joined until there are at most LONGEST_CURVE of them.
    """
    camera, events = images.tables["LIGHTCURVE"], images.tables["EVENTS"]
    if not len(found) or not len(camera):
        return np.empty(0, np.dtype([]))
    joined = -(-len(camera) // LONGEST_CURVE)
    width = float(camera["TIME"][1] - camera["TIME"][0]) if len(camera) > 1 else 1.0
    begin = float(camera["TIME"][0]) - width / 2
    bins = -(-len(camera) // joined)
    table = np.zeros(bins, [("TIME", "<f8"), ("FRACEXP", "<f4"), ("COUNTS", "<i4", (len(found),))])
    table["TIME"] = begin + width * joined * (np.arange(bins) + 0.5)
    padded = np.zeros(bins * joined)
    padded[: len(camera)] = camera["FRACEXP"]
    table["FRACEXP"] = padded.reshape(bins, joined).mean(axis=1)
    size = int(images.header["BIN_PX"])
    x, y = (events["X"] + 0.5) / size - 0.5, (events["Y"] + 0.5) / size - 0.5
    at = np.clip(((events["TIME"] - begin) / (width * joined)).astype(np.int64), 0, bins - 1)
    order = np.argsort(x, kind="stable")
    x, y, at = x[order], y[order], at[order]
    for k, source in enumerate(found.detections.sources):
        reach = FWHM * float(source["sigma_px"])
        near = slice(*np.searchsorted(x, [source["x"] - reach, source["x"] + reach]))
        inside = np.hypot(x[near] - source["x"], y[near] - source["y"]) <= reach
        table["COUNTS"][:, k] = np.bincount(at[near][inside], minlength=bins)
    return table
