import numpy as np

from stream.commands.coronae import as_prior

ROW = [(f"{key}{end}_{side}68", "f4") for key in ("LOG_T", "LOG_N") for end in ("", "_ANY") for side in ("LO", "HI")]


def row(p_one, **intervals):
    made = np.zeros(1, [("P_ONE", "f4"), *ROW])[0]
    made["P_ONE"] = p_one
    for name, (low, high) in intervals.items():
        made[f"{name}_LO68"], made[f"{name}_HI68"] = low, high
    return made


def test_what_the_spectrum_has_not_narrowed_is_marked():
    wide, narrow = (9.3, 10.7), (9.8, 10.2)
    assert as_prior(row(0.1, LOG_T_ANY=(6.60, 6.70), LOG_N_ANY=wide, LOG_N=narrow)) == "log n as prior"
    assert as_prior(row(0.9, LOG_T=(6.60, 6.70), LOG_N_ANY=wide, LOG_N=narrow)) == ""
    assert as_prior(row(0.9, LOG_T=(6.15, 6.85), LOG_N=wide)) == "log T as prior, log n as prior"
