import numpy as np

from models.candidates import Candidates


def candidates(particle, energy_ev=1000.0, group=None, weight=None, kept=True, company=0):
    particle = np.asarray(particle, bool)
    n = particle.size
    of = {
        "row": np.arange(n),
        "energy_ev": np.broadcast_to(np.float32(energy_ev), n),
        "particle": particle,
        "group": np.arange(n) if group is None else np.asarray(group),
        "weight": np.ones(n) if weight is None else np.asarray(weight, float),
        "kept": np.broadcast_to(kept, n),
        "company": np.broadcast_to(np.uint8(company), n),
    }
    return Candidates(**of)
