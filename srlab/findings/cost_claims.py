"""The papers' claims about time and memory, as curves over the size of the map, on both codes.

Each was measured in several fresh processes; intervals are Student's t over the processes, on logarithms of
ratios of each one's medians.
"""

from __future__ import annotations

import pandas as pd

from srlab.study.study import Study

#: The formula as the authors publish it, and what this project computes instead.
PUBLISHED, OURS = "as published", "ours"


def curves(study: Study) -> pd.DataFrame:
    """Every claim that compares two costs, against each rival, on each code, on each size of map.

    Returns
    -------
    DataFrame
        id (of srlab/study/claims.yaml), against (the rival), code ("as published" or "ours"), height, width (of
        the map or LR image, px), quantity, claimed (NaN where the paper names a direction only), value, low,
        high (the quantity and its interval at the rules' level; the interval of one process is infinite),
        processes, judged (bool, one row of each claim, rival and code: the size that the claim names, or else
        the largest that both sides were measured on), from_no_effect, from_claim (the pixels from which on the
        claimed side of "no effect", or the claim itself, is reached and not left again, interpolated on
        logarithms; NaN if never, the smallest size if always), device, workload, run (hash).
    """
    raise NotImplementedError


def slopes(study: Study) -> pd.DataFrame:
    """How time grows between successive ones of the rules' `growth_sides`: cost ∝ pixels^slope.

    Returns
    -------
    DataFrame
        id, model ("fgcan", "bran"), code, from_px, to_px, slope, low, high (Student's t over processes, at the
        rules' level), within (bool: the interval lies within the claimed exponent ± the rules'
        `growth_margin`), processes, device, workload, run (hash).
    """
    raise NotImplementedError
