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
        named = [axes.get_xlabel(), axes.get_ylabel()]
        beside = [axes.get_shared_x_axes(), axes.get_shared_y_axes()]  # panels that share an axis name it once
        for k, shared in enumerate(beside):
            said = [[o.get_xlabel(), o.get_ylabel()][k] for o in figure.axes if o is axes or shared.joined(axes, o)]
            assert any(said) or is_bar(axes) or is_mute(axes, k), f"axes without a label: {'xy'[k]}"
        assert any(named) or not is_bar(axes)
        labels += [name for name in named if name]
    return labels


def is_mute(axes, k):
    """Return whether axis k (x, y) has no numbers: a corner's inner boxes."""
    axis = (axes.xaxis, axes.yaxis)[k]
    return not len(axis.get_ticklocs()) or not axis.get_tick_params().get(("labelbottom", "labelleft")[k], True)


def is_bar(axes):
    """Return whether axes are a colour bar's: it has one label."""
    return hasattr(axes, "_colorbar")
