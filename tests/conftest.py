import os

import pytest
from hypothesis import settings

# Machines are shared: no test fails for being slow. CI judges the change, not the luck of a draw.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture
def drawn(monkeypatch):
    """Figures in the order in which they are saved."""
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig

    def savefig(figure, *words, **named):
        figures.append(figure)
        save(figure, *words, **named)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures
