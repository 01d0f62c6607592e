import csv

import numpy as np
import pytest

from models.sources.dataset import read_sources

CLASSES = ("AGN", "CV", "star")


def rows(number, seed):
    """Sources of three classes: two features that are told with errors, one that stars alone have, one of a place."""
    rng = np.random.default_rng(seed)
    for n in range(number):
        kind = int(rng.choice(3, p=(0.5, 0.2, 0.3)))
        error = float(rng.uniform(0.1, 0.6))
        index = rng.normal((1.8, 1.2, 3.0)[kind], 0.25) + rng.normal(0, error)
        flux = rng.normal((-13.5, -13.0, -13.8)[kind], 0.5) + 0.3 * (index - 2)
        yield {
            "name": f"s{n}",
            "class": CLASSES[kind],
            "field": n % 24,
            "b": rng.normal(0, (40, 3, 10)[kind]),
            "l": rng.uniform(0, 360),
            "photon_index": index if rng.random() < 0.8 else "",
            "photon_index_error": error,
            "log_flux": flux,
            "motion": rng.normal(1, 1) if kind == 2 and rng.random() < 0.9 else "",
            "fwhm_px": rng.gamma(4, 0.5) + (kind == 1),
        }


def table(path, number, seed):
    given = list(rows(number, seed))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, given[0])
        writer.writeheader()
        writer.writerows(given)
    return path


@pytest.fixture(scope="session")
def source_tables(tmp_path_factory):
    """Two tables of sources of the same kinds."""
    folder = tmp_path_factory.mktemp("sources")
    return table(folder / "train.csv", 400, 1), table(folder / "test.csv", 300, 2)


@pytest.fixture(scope="session")
def known_sources(source_tables):
    return tuple(map(read_sources, source_tables))


@pytest.fixture(scope="session")
def fused(known_sources):
    """A fusion with the prior by latitude."""
    from models.sources.fusion import Plan
    from models.sources.train import train

    return train(known_sources[0], Plan(folds=3), sky=True)


@pytest.fixture(scope="session")
def boosted(known_sources):
    """A challenger with the prior by latitude."""
    pytest.importorskip("sklearn", reason="no train extra: scikit-learn not installed (pip install -e '.[train]')")
    from models.sources.challenger import Boosting
    from models.sources.train import train

    return train(known_sources[0], Boosting(steps=15, folds=3), sky=True)
