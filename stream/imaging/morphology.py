"""What sources look like: width, extent, radial profile, and who is near."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.imaging.detect import Detections, background_side, fit_all
from stream.imaging.image import FWHM, Image, checked, smooth
from stream.kernels.gaussians import BACKGROUND, FLUX, PARAMETERS, WIDTH, X, Y
from stream.kernels.profiles import add_up_rings
from stream.kernels.sources import add_source

RINGS = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])  # edges of the profile's rings, in FWHM of the PSF
CORE, WHOLE = 1, 4  # rings whose outer edges bound the two areas of the concentration: 0.5 and 2 FWHM
MORPHOLOGY = np.dtype(
    [
        ("id", "i4"),  # of the source
        ("fwhm_px", "f8"),  # of the Gaussian with the greatest Poisson likelihood, position integrated out
        ("fwhm_error_px", "f8"),  # 1 sigma, from the Fisher matrix of flux, place, width and background
        ("extent_sigma", "f8"),  # root of the likelihood ratio of that width and the PSF's; negative: narrower
        ("net_counts", "f8"),  # with that width, within the exposure
        ("net_error", "f8"),
        ("x", "f8"),  # px, of that Gaussian
        ("y", "f8"),
        ("profile", "f8", (RINGS.size - 1,)),  # counts px-1 without background and neighbours, in RINGS; NaN: unseen
        ("profile_error", "f8", (RINGS.size - 1,)),
        ("concentration", "f8"),  # net counts within 0.5 FWHM of the PSF over those within 2; a Gaussian PSF: 0.50
        ("concentration_error", "f8"),
        ("local_density", "f8"),  # other sources px-2 under a Gaussian of sigma NEAR, per exposed area
        ("neighbours", "i4"),  # other sources within NEAR
        ("nearest_px", "f8"),  # to the nearest other source; NaN: there is none
        ("nearest_bright_px", "f8"),  # to the nearest other source of at least BRIGHT sigma; NaN: there is none
        ("converged", "?"),
    ]
)
NEAR = 8.0  # FWHM of the PSF
BRIGHT = 10.0  # sigma
SWEEPS = 3  # over all sources, each among the others as they are
WIDTHS = 0.3, 8.0  # narrowest and widest, in sigma of the PSF
MOVE = 2.0  # px


def measure(
    counts: ArrayLike, exposure: ArrayLike | None, detections: Detections, psf_sigma_px: float
) -> NDArray[np.void]:
    """Measure every source of `detect` in the image where it was found; (n,) MORPHOLOGY in the order of its sources.

    counts (rows, columns), counts per pixel; exposure (rows, columns) s or None: 1 s everywhere; psf_sigma_px: sigma of
    the PSF in the image. Without sources the table is empty. Raises ConfigError for images that are none.
    """
    image, time, longest_s = checked(counts, exposure, psf_sigma_px)
    sources = detections.sources
    table = np.zeros(len(sources), MORPHOLOGY)
    table["id"] = sources["id"]
    if not len(sources):
        return table
    theta = np.zeros((len(sources), PARAMETERS))
    theta[:, FLUX], theta[:, X], theta[:, Y] = sources["rate"] * longest_s, sources["x"], sources["y"]
    theta[:, WIDTH], theta[:, BACKGROUND] = np.log(sources["sigma_px"]), 1.0
    model = np.zeros(image.shape)
    for own in theta:
        add_source(model, time, (own[X], own[Y], own[FLUX], np.exp(own[WIDTH])), 1.0)
    images = image, detections.background, time, model
    _widths(table, images, theta, psf_sigma_px)
    table["net_counts"] *= sources["net_counts"] / (sources["rate"] * longest_s)
    table["net_error"] *= sources["net_counts"] / (sources["rate"] * longest_s)
    _profiles(table, images, theta, psf_sigma_px)
    _company(table, sources, time, psf_sigma_px)
    return table


def _widths(
    table: NDArray[np.void], images: tuple[Image, Image, Image, Image], theta: Image, psf_sigma_px: float
) -> None:
    """Fit all as Gaussians and as point sources; theta and the model among `images` become those of the Gaussians."""
    limits = MOVE, np.array(WIDTHS)
    side = background_side(psf_sigma_px)
    for _ in range(SWEEPS):
        fisher, fitted = fit_all(images, theta, theta, "flux x y width background", psf_sigma_px, limits, side)
    point = theta.copy()
    point[:, WIDTH] = np.log(psf_sigma_px)
    _, narrow = fit_all(images, theta, point, "flux x y background", psf_sigma_px, limits, side)
    _, wide = fit_all(images, theta, theta.copy(), "", psf_sigma_px, limits, side)  # in the same windows as `narrow`
    ratio = 2 * (wide[:, 0] - narrow[:, 0])
    error = np.sqrt(np.diagonal(np.linalg.pinv(fisher, hermitian=True), axis1=1, axis2=2))
    sigma = np.exp(theta[:, WIDTH])
    table["fwhm_px"], table["fwhm_error_px"] = FWHM * sigma, FWHM * sigma * error[:, WIDTH]
    table["extent_sigma"] = np.sign(sigma - psf_sigma_px) * np.sqrt(np.maximum(ratio, 0.0))
    table["x"], table["y"] = theta[:, X], theta[:, Y]
    table["net_counts"], table["net_error"] = theta[:, FLUX], error[:, FLUX]
    table["converged"] = (fitted[:, 1] > 0) & (narrow[:, 1] > 0)


def _profiles(table: NDArray[np.void], images: tuple[Image, ...], theta: Image, psf_sigma_px: float) -> None:
    """Add up counts in rings, less the background as fitted and the neighbours."""
    edges = RINGS * FWHM * psf_sigma_px
    counts, expected, area = (np.zeros((len(theta), edges.size - 1)) for _ in range(3))
    add_up_rings(images, theta, edges, counts, expected, area)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(area > 0, area, np.nan)
        table["profile"] = (counts - expected) / seen
        table["profile_error"] = np.sqrt(np.maximum(counts, 1.0)) / seen
        n, b = counts.cumsum(axis=1), expected.cumsum(axis=1)
        core, whole = n[:, CORE - 1] - b[:, CORE - 1], n[:, WHOLE - 1] - b[:, WHOLE - 1]
        known = np.where(whole > 0, whole, np.nan)
        share = core / known
        outer = n[:, WHOLE - 1] - n[:, CORE - 1]
        table["concentration"] = share
        table["concentration_error"] = np.sqrt((1 - share) ** 2 * n[:, CORE - 1] + share**2 * outer) / known


def _company(table: NDArray[np.void], sources: NDArray[np.void], exposure: Image, psf_sigma_px: float) -> None:
    """Describe who is near."""
    near = NEAR * FWHM * psf_sigma_px
    place = np.stack([sources["x"], sources["y"]], axis=1)
    apart = np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    table["neighbours"] = (apart <= near).sum(axis=1)
    weight = np.exp(-(apart**2) / (2 * near**2)).sum(axis=1) / (2 * np.pi * near**2)
    seen = smooth((exposure > 0).astype(float), 2 * int(near * np.sqrt(6.0) / 2) + 1)  # as wide as the Gaussian
    y = np.clip(np.rint(place[:, 1]).astype(int), 0, exposure.shape[0] - 1)
    x = np.clip(np.rint(place[:, 0]).astype(int), 0, exposure.shape[1] - 1)
    table["local_density"] = weight / np.maximum(seen[y, x], 1e-6)
    bright = np.where(sources["significance"] >= BRIGHT, apart, np.inf)
    for name, distance in (("nearest_px", apart), ("nearest_bright_px", bright)):
        nearest = distance.min(axis=1)
        table[name] = np.where(np.isfinite(nearest), nearest, np.nan)
