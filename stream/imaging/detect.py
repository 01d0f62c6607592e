"""Finds sources: matched filter for Poisson counts, peaks one pass after another, segments by marker watershed.

The significance of a pixel is the signed root of the likelihood ratio of a point source there against none, with the
exposure under the PSF (Cash 1979, ApJ 228, 939; Stewart 2009, A&A 495, 989).
The background is a mean without the sources. Every pass takes what is known into the model, so that a faint source
beside a bright one is a peak of its own.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate1d
from scipy.optimize import brentq
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from stream.imaging.image import FWHM, Image, checked, effective_area, local_mean
from stream.kernels.gaussians import BACKGROUND, FLUX, PARAMETERS, WIDTH, X, Y, fit_sources
from stream.kernels.sources import add_source, significance_map

SOURCE = np.dtype(
    [
        ("id", "i4"),  # its number in `labels`, from 1
        ("x", "f8"),  # column, px; pixel centres at integers
        ("y", "f8"),  # row, px
        ("x_error", "f8"),  # px, 1 sigma
        ("y_error", "f8"),
        ("net_counts", "f8"),  # what it adds to this image, within the exposure
        ("net_error", "f8"),
        ("rate", "f8"),  # counts s-1, of all its PSF
        ("rate_error", "f8"),
        ("significance", "f8"),  # sigma: the root of the likelihood ratio with and without it
        ("sigma_px", "f8"),  # of the Gaussian that it was modelled with: the PSF's, or its own where it is extended
        ("background", "f8"),  # counts px-1 at its place
        ("exposure_s", "f8"),  # at its place
        ("pixels", "i4"),  # of its segment
        ("flag", "u1"),  # Flaw
    ]
)


class Flaw(IntFlag):
    """What is doubtful about a source."""

    EDGE = 1  # the image ends within 3 sigma
    HOLE = 2  # a pixel without exposure lies within 3 sigma
    BLEND = 4  # another source lies within 2 FWHM
    EXTENDED = 8  # wider than the PSF at 4 sigma


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in an image of (rows, columns)."""

    sources: NDArray[np.void]  # (n,) SOURCE, brightest first
    labels: NDArray[np.int32]  # (rows, columns): 0 where no source is, else its id
    significance: Image  # (rows, columns) sigma, of one point source above the background
    background: Image  # (rows, columns) counts px-1, without the sources
    unexposed_counts: float  # counts in pixels without exposure: they do not count, and should not be


NAMES = ("flux", "x", "y", "width", "background")  # of the parameters in their places
PASSES = 6
BACKGROUND_SIDE = (
    14.0  # of the background's smallest box, in sigma of the PSF: wide beside a source, narrow beside a ridge
)
MASKED = 0.3  # a source's counts over the background's above which a pixel is kept out of the background
SEGMENT = 2.0  # sigma: where a segment ends
MARGIN = 0.7  # sigma: how far below the threshold a pixel may be whose source, fitted between pixels, is above it
CLOSEST = 1.2  # sigma of the PSF: two sources closer than this are one
CONTRAST = 0.03  # of a brighter neighbour's flux within 2 FWHM: less is an imperfection of the PSF
LEAST_COUNTS = 3.0  # of a source
WIDER = 16.0  # likelihood ratio from which a source has a width of its own
MOVE = 1.5  # px a source may move in a pass


def detect(counts: ArrayLike, exposure: ArrayLike | None, psf_sigma_px: float, threshold: float = 5.0) -> Detections:
    """Find the sources of an image.

    counts (rows, columns), counts per pixel, >= 0; exposure (rows, columns) s, 0 in gaps and bad pixels, None: 1 s
    everywhere; psf_sigma_px: sigma of the Gaussian PSF in the image; threshold: sigma. Without counts or exposure there
    are no sources. Raises ConfigError for images that are none (`checked`).
    """
    image, time, longest_s = checked(counts, exposure, psf_sigma_px)
    search = _Search(image, time, psf_sigma_px, threshold)
    if image.any():
        search.run()
    bare = search.background * time
    significance = search.significance_above(bare)
    labels = segment(significance, search.theta, threshold)
    sources = _table(search, labels, longest_s)
    return Detections(sources, labels, significance, bare, float(np.sum(counts)) - float(image.sum()))


def threshold_for(exposed_px: int, psf_sigma_px: float, false: float = 1.0) -> float:
    """Return the threshold in sigma above which noise alone has `false` peaks on average in so many exposed pixels.

    Noise seen through a Gaussian filter has u exp(-u^2 / 2) / ((2 pi)^1.5 2 sigma^2) peaks per area above u >> 1 (Bond
    and Efstathiou 1987, MNRAS 226, 655). At least 3: below, the formula does not hold.
    """
    most = exposed_px / ((2 * np.pi) ** 1.5 * 2 * psf_sigma_px**2)
    if most * 3 * np.exp(-4.5) <= false:
        return 3.0
    return float(brentq(lambda u: most * u * np.exp(-u * u / 2) - false, 3.0, 39.0))


class _Search:
    """The sources so far: theta (n, 5) as `fit_sources` has it, and the background without them."""

    def __init__(self, counts: Image, exposure: Image, psf_sigma_px: float, threshold: float) -> None:
        self.counts, self.exposure, self.psf, self.threshold = counts, exposure, psf_sigma_px, threshold
        self.theta = np.empty((0, PARAMETERS))
        self.fisher = np.empty((0, PARAMETERS, PARAMETERS))
        self.ratio = np.empty(0)  # sigma, of each source
        self.side = background_side(psf_sigma_px)
        self.stamp = np.outer(line_of(psf_sigma_px), line_of(psf_sigma_px))
        nothing = np.zeros(counts.shape)
        self.background = local_mean(counts, exposure, nothing, nothing > 0, self.side)

    def run(self) -> None:
        """Add peaks until a pass finds none."""
        for _ in range(PASSES):
            high = self.threshold - MARGIN
            expected = self.background * self.exposure + self.model()
            significance = self.significance_above(expected, max(high - 0.3, 0.0))
            found = self.new_peaks(significance, high)
            if not len(found):
                break
            before = len(self.theta)
            self.theta = np.concatenate([self.theta, found])
            self.refit()
            self.drop()
            if len(self.theta) <= before:
                break
        for _ in range(2):
            self.refit()
            self.drop()
        order = np.argsort(-self.theta[:, FLUX], kind="stable")
        self.theta, self.fisher, self.ratio = self.theta[order], self.fisher[order], self.ratio[order]

    def model(self) -> Image:
        """Return the expected counts of all sources."""
        image = np.zeros(self.counts.shape)
        for own in self.theta:
            add_source(image, self.exposure, (own[X], own[Y], own[FLUX], np.exp(own[WIDTH])), 1.0)
        return image

    def update_background(self) -> None:
        """Estimate the background without the sources."""
        model = self.model()
        mask = model > MASKED * self.background * self.exposure
        self.background = local_mean(self.counts, self.exposure, model, mask, self.side)

    def significance_above(self, expected: Image, least: float = 0.0) -> Image:
        """Return the significance of one more point source at every pixel; below `least` that of the score test."""
        expected = np.maximum(expected, 1e-12)
        significance = score_of(self.counts, expected, self.exposure, self.psf)
        worth = np.where(significance > least, significance, np.nan)
        significance_map(self.counts, expected, self.exposure, self.stamp, worth, significance)
        return significance

    def new_peaks(self, significance: Image, high: float) -> Image:
        """Return theta (n, 5) of peaks that are not known yet."""
        place = peak_local_max(
            significance, min_distance=max(1, round(self.psf)), threshold_abs=high, exclude_border=False
        )
        found = np.zeros((len(place), PARAMETERS))
        found[:, X], found[:, Y] = place[:, 1], place[:, 0]
        found[:, WIDTH], found[:, BACKGROUND] = np.log(self.psf), 1.0
        found[:, FLUX] = 1.0 + significance[place[:, 0], place[:, 1]]
        if len(self.theta):
            apart = np.hypot(found[:, X, None] - self.theta[:, X], found[:, Y, None] - self.theta[:, Y])
            found = found[apart.min(axis=1) > CLOSEST * np.exp(self.theta[apart.argmin(axis=1), WIDTH])]
        return found

    def fit(self, model: Image, free: str, theta: Image | None = None) -> tuple[Image, Image]:
        """Fit all sources in turn; return Fisher matrices and ln L with success.

        In place, model and all; with `theta` in that array, and the model stays.
        """
        of_psf = np.array([0.6, 6.0])
        own = self.theta if theta is None else theta
        images = self.counts, self.background * self.exposure, self.exposure, model
        return fit_all(images, self.theta, own, free, self.psf, (MOVE, of_psf), self.side)

    def refit(self) -> None:
        """Fit flux and place of every source among the others, and the width of those that are extended."""
        model = self.model()
        self.fit(model, "flux x y")
        self.widen(model)
        self.update_background()
        self.fisher, _ = self.fit(self.model(), "flux x y")

    def widen(self, model: Image) -> None:
        """Let the width free where that is better by WIDER, else return it to the PSF's."""
        point, wide = self.theta.copy(), self.theta.copy()
        point[:, WIDTH] = np.log(self.psf)
        _, as_point = self.fit(model, "flux x y", point)
        _, as_wide = self.fit(model, "flux x y width", wide)
        extended = (2 * (as_wide[:, 0] - as_point[:, 0]) > WIDER) & (wide[:, WIDTH] > np.log(self.psf))
        self.theta = np.where(extended[:, None], wide, point)

    def drop(self) -> None:
        """Drop what is no source, of those that overlap the least significant first; of a close pair the fainter."""
        self.ratio = self.significances()
        while len(self.theta):
            wrong = (self.ratio < self.threshold) | (self.theta[:, FLUX] < LEAST_COUNTS) | self.too_close()
            if not wrong.any():
                break
            near = self.apart() < 11 * self.psf
            worse = wrong[None] & near & (self.ratio[None] < self.ratio[:, None])
            kept = ~wrong | worse.any(axis=1)
            self.theta, self.fisher = self.theta[kept], self.fisher[kept]
            self.ratio = self.significances()

    def apart(self) -> Image:
        """Return the distances of all sources in px, (n, n)."""
        place = self.theta[:, [X, Y]]
        return np.asarray(np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1)))

    def too_close(self) -> NDArray[np.bool_]:
        """Return which sources have a brighter one too close, or so bright and near that they are part of it."""
        flux, apart = self.theta[:, FLUX], self.apart()
        brighter = flux[None] > flux[:, None]
        one = apart < CLOSEST * self.psf
        part = (apart < 2 * FWHM * self.psf) & (flux[:, None] < CONTRAST * flux[None])
        return np.asarray(((one | part) & brighter).any(axis=1))

    def significances(self) -> NDArray[np.float64]:
        """Return the root of the likelihood ratio with and without each source, all others as they are."""
        model, found = self.model(), np.empty(len(self.theta))
        expected = self.background * self.exposure
        for k, own in enumerate(self.theta):
            sigma = float(np.exp(own[WIDTH]))
            rows, columns = window_of(own, 5.5 * sigma, self.counts.shape)
            n, time = self.counts[rows, columns], self.exposure[rows, columns]
            part = np.zeros(n.shape)
            add_source(part, time, (own[X] - columns.start, own[Y] - rows.start, own[FLUX], sigma), 1.0)
            all_of_them = np.maximum(expected[rows, columns] + model[rows, columns], 1e-12)
            without = np.maximum(all_of_them - part, 1e-12)
            open_ = time > 0
            gain = float(np.sum((n * np.log(all_of_them / without) - part)[open_]))
            found[k] = np.sqrt(2 * max(gain, 0.0))
        return found


def fit_all(
    images: tuple[Image, Image, Image, Image],
    inside: Image,
    theta: Image,
    free: str,
    psf_sigma_px: float,
    limits: tuple[float, NDArray[np.float64]],
    side: int,
) -> tuple[Image, Image]:
    """Run `fit_sources`; return the Fisher matrices (n, 5, 5) and, (n, 2), ln L and whether it converged.

    images = (counts, background, exposure, model); inside, theta (n, 5); free: names of the free parameters; limits:
    px that a source may move, and the narrowest and widest sigma in that of the PSF; side: of the background's box.
    """
    counts, background = images[:2]
    rows, columns = counts.shape
    y = np.clip(np.rint(theta[:, Y]).astype(int), 0, rows - 1)
    x = np.clip(np.rint(theta[:, X]).astype(int), 0, columns - 1)
    # how well the background is known: counting, and 3 % for its curvature
    spread = np.hypot(0.03, 1 / np.sqrt(np.maximum(background[y, x] * effective_area(side), 25.0)))
    reach = np.ceil(4 * np.clip(np.exp(inside[:, WIDTH]), psf_sigma_px, 3 * psf_sigma_px)).astype(np.int64)
    chosen = np.array([name in free.split() for name in NAMES])
    setup = chosen, reach, limits[0], np.log(limits[1] * psf_sigma_px), spread
    fisher, out = np.zeros((len(theta), PARAMETERS, PARAMETERS)), np.zeros((len(theta), 2))
    fit_sources(images, inside, theta, setup, fisher, out)
    return fisher, out


def background_side(psf_sigma_px: float) -> int:
    """Return the side of the background's smallest box, px, odd."""
    return 2 * int(BACKGROUND_SIDE * psf_sigma_px / 2) + 1


def window_of(theta: NDArray[np.float64], reach: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns around a source, cut to the image."""
    y, x, side = round(float(theta[Y])), round(float(theta[X])), int(np.ceil(reach))
    rows = slice(max(0, y - side), max(0, min(shape[0], y + side + 1)))
    return rows, slice(max(0, x - side), max(0, min(shape[1], x + side + 1)))


def line_of(sigma_px: float) -> NDArray[np.float64]:
    """Return a Gaussian of sum 1 out to 3 sigma, (k,): the PSF is its product with itself."""
    radius = int(np.ceil(3 * sigma_px))
    line = np.exp(-(np.arange(-radius, radius + 1.0) ** 2) / (2 * sigma_px**2))
    return np.asarray(line / line.sum())


def score_of(counts: Image, expected: Image, exposure: Image, psf_sigma_px: float) -> Image:
    """Return the score test of one more point source at every pixel, in sigma: the linear matched filter.

    (sum p n / b - sum p) / sqrt(sum p^2 / b), p PSF x exposure; 0 where there is no exposure.
    """
    line = line_of(psf_sigma_px)
    slope = _filtered(exposure * (counts / expected - 1), line)
    information = _filtered(exposure**2 / expected, line**2)
    seen = (exposure > 0) & (information > 0)
    return np.where(seen, slope / np.sqrt(np.where(seen, information, 1.0)), 0.0)


def _filtered(image: Image, line: NDArray[np.float64]) -> Image:
    once: Any = correlate1d(image, line, axis=0, mode="constant")
    return np.asarray(correlate1d(once, line, axis=1, mode="constant"))


def segment(significance: Image, theta: Image, threshold: float) -> NDArray[np.int32]:
    """Return the segments: watershed of the significance from the sources' places, down to SEGMENT sigma."""
    markers = np.zeros(significance.shape, np.int32)
    rows, columns = significance.shape
    for k in reversed(range(len(theta))):  # of two in one pixel the brighter keeps it
        y, x = int(np.clip(np.rint(theta[k, Y]), 0, rows - 1)), int(np.clip(np.rint(theta[k, X]), 0, columns - 1))
        markers[y, x] = k + 1
    if not len(theta):
        return markers
    high = (significance > min(SEGMENT, threshold)) | (markers > 0)
    labels: Any = watershed(-significance, markers, mask=high)
    return np.asarray(labels, np.int32)


def _table(search: _Search, labels: NDArray[np.int32], longest_s: float) -> NDArray[np.void]:
    """Return the sources as SOURCE."""
    theta, fisher = search.theta, search.fisher
    table = np.zeros(len(theta), SOURCE)
    if not len(theta):
        return table
    rows, columns = search.counts.shape
    y = np.clip(np.rint(theta[:, Y]).astype(int), 0, rows - 1)
    x = np.clip(np.rint(theta[:, X]).astype(int), 0, columns - 1)
    free = np.ix_(range(len(theta)), (FLUX, X, Y), (FLUX, X, Y))
    error = np.sqrt(np.diagonal(np.linalg.pinv(fisher[free], hermitian=True), axis1=1, axis2=2))
    share = np.array([_share(own, search.exposure) for own in theta])
    table["id"] = np.arange(1, len(theta) + 1)
    table["x"], table["y"], table["x_error"], table["y_error"] = theta[:, X], theta[:, Y], error[:, 1], error[:, 2]
    table["net_counts"], table["net_error"] = theta[:, FLUX] * share, error[:, 0] * share
    table["rate"], table["rate_error"] = theta[:, FLUX] / longest_s, error[:, 0] / longest_s
    table["significance"], table["sigma_px"] = search.ratio, np.exp(theta[:, WIDTH])
    table["background"] = (search.background * search.exposure)[y, x]
    table["exposure_s"] = search.exposure[y, x] * longest_s
    table["pixels"] = np.bincount(labels.ravel(), minlength=len(theta) + 1)[1:]
    table["flag"] = [_flaws(own, search.exposure, search.psf) for own in theta]
    near = search.apart() + np.where(np.eye(len(theta)), np.inf, 0.0)
    table["flag"] |= np.where(near.min(axis=1) < 2 * FWHM * search.psf, Flaw.BLEND, 0).astype(np.uint8)
    return table


def _share(theta: NDArray[np.float64], exposure: Image) -> float:
    """Return which part of a source's counts, were the exposure at its longest everywhere, the image has."""
    sigma = float(np.exp(theta[WIDTH]))
    rows, columns = window_of(theta, 5.5 * sigma, exposure.shape)
    part = np.zeros((rows.stop - rows.start, columns.stop - columns.start))
    add_source(part, exposure[rows, columns], (theta[X] - columns.start, theta[Y] - rows.start, 1.0, sigma), 1.0)
    return float(part.sum())


def _flaws(theta: NDArray[np.float64], exposure: Image, psf_sigma_px: float) -> int:
    sigma = float(np.exp(theta[WIDTH]))
    reach = int(np.ceil(3 * sigma))
    rows, columns = window_of(theta, reach, exposure.shape)
    whole = rows.stop - rows.start == columns.stop - columns.start == 2 * reach + 1
    flaws = 0 if whole else Flaw.EDGE
    flaws |= Flaw.HOLE if (exposure[rows, columns] <= 0).any() else 0
    return int(flaws | (Flaw.EXTENDED if sigma > 1.001 * psf_sigma_px else 0))
