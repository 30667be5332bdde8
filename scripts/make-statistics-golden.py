"""Writes test/golden/statistics.json: rank correlations, Student's and bootstrap intervals as scipy has them, on fixed values.

    pip install numpy==2.3.5 scipy==1.16.3 && python scripts/make-statistics-golden.py
"""
import json
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

rng = np.random.default_rng(20)
pairs = []
for n, tied in ((9, False), (40, True), (270, False), (270, True)):
    a = np.round(rng.normal(size=n), 1 if tied else 6)
    b = np.round(0.5 * a + rng.normal(size=n), 1 if tied else 6)
    pairs.append(
        {
            "a": a.tolist(),
            "b": b.tolist(),
            "ranks": stats.rankdata(a).tolist(),
            "spearman": float(stats.spearmanr(a, b).statistic),
            "kendall": float(stats.kendalltau(a, b).statistic),
        }
    )

student = []
for n in (6, 8, 29):
    values = np.round(rng.lognormal(size=n), 6)
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    student.append({"values": values.tolist(), "low": float(low), "high": float(high)})

# Ours spreads percentiles by sqrt(n / (n - 1)): scipy's own of the level that this makes of 95%.
bca = []
for n in (30, 60):
    values = np.round(rng.lognormal(size=n), 6)
    level = 1 - 2 * stats.norm.cdf(stats.norm.ppf(0.025) * np.sqrt(n / (n - 1)))
    found = stats.bootstrap((values,), np.mean, method="BCa", confidence_level=level, n_resamples=400_000, batch=10_000, rng=rng)
    bca.append({"values": values.tolist(), "low": float(found.confidence_interval.low), "high": float(found.confidence_interval.high)})

text = json.dumps({"scipy": scipy.__version__, "pairs": pairs, "student": student, "bca": bca})
(Path(__file__).parent.parent / "test/golden/statistics.json").write_text(text + "\n")
