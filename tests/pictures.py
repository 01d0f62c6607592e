"""What a picture says of itself, for tests."""

import numpy as np
from matplotlib.image import imread


def check(path, figure):
    """Refuse a picture that is not white at its rim, or has axes without labels; return the labels of all axes."""
    image = imread(path)
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert np.all(rim.mean(axis=0) > 0.95), "opaque and white: readable where the page is dark"
    assert np.ptp(image[..., :3]) > 0.5, "nothing is drawn"
    labels = []
    for axes in figure.axes:
        if not axes.axison:
            continue
        shared = axes.get_shared_x_axes().joined
        named = [axes.get_xlabel(), axes.get_ylabel()]
        assert any(named), "axes without a label"
        assert named[0] or any(shared(axes, other) and other.get_xlabel() for other in figure.axes) or is_bar(axes)
        labels += [name for name in named if name]
    return labels


def is_bar(axes):
    """Return whether axes are a colour bar's: it has one label."""
    return hasattr(axes, "_colorbar")
