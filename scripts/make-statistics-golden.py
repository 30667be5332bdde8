"""Writes test/golden/statistics.json: rank correlations, intervals, sign-flip tests and Holm as scipy and statsmodels have them, on fixed values.

    pip install numpy==2.3.5 scipy==1.16.3 pandas==2.3.3 statsmodels==0.14.6 && python scripts/make-statistics-golden.py
"""
import json
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import statsmodels.formula.api as smf
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests

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

# Every pattern of signs; equal values, zeros and sums of 0 among them.
flips = []
for values in (
    np.round(rng.normal(0.4, 1, size=7), 6),
    np.round(rng.normal(0.4, 1, size=12), 1),
    np.round(rng.normal(0, 1, size=15), 6),
    np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    np.array([0.1, 0.2, -0.3, 0.4, 0.5, 0.6, 0.0, 0.7]),
    np.array([1.0, -1.0, 2.0, -2.0]),
):
    found = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided")
    flips.append({"values": values.tolist(), "p": float(found.pvalue)})

holm = []
for ps in ([0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.9, 0.04, 0.04], [1.0], np.round(rng.uniform(size=25) ** 3, 9).tolist()):
    holm.append({"ps": ps, "adjusted": multipletests(ps, method="holm")[1].tolist()})

# Effects of a balanced design: main effects of the additive model, interactions of the one with all pairs, each against the first level.
levels = {"a": [0, 1, 2], "b": [0, 1], "c": [0, 1]}
design = [(a, b, c, text) for a in levels["a"] for b in levels["b"] for c in levels["c"] for text in range(9)]
y = np.round(rng.normal(size=9)[[text for *_, text in design]] + rng.normal(size=len(design)) + [0.3 * a - 0.2 * a * b for a, b, *_ in design], 6)
table = pd.DataFrame({"y": y, **{name: [row[i] for row in design] for i, name in enumerate(["a", "b", "c", "text"])}})
additive = smf.ols("y ~ C(a) + C(b) + C(c)", table).fit().params
pairwise = smf.ols("y ~ (C(a) + C(b) + C(c)) ** 2", table).fit().params
effects = []
for name, of in levels.items():
    for to in of[1:]:
        by_text = table[table[name] == to].groupby("text").y.mean() - table[table[name] == 0].groupby("text").y.mean()
        low, high = stats.t.interval(0.95, 8, loc=by_text.mean(), scale=stats.sem(by_text))
        p = stats.permutation_test((by_text.to_numpy(),), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        effects.append({"of": [name], "to": [to], "effect": additive[f"C({name})[T.{to}]"], "low": low, "high": high, "p": p})
for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
    for to in levels[one][1:]:
        effects.append({"of": [one, other], "to": [to, 1], "effect": pairwise[f"C({one})[T.{to}]:C({other})[T.1]"]})
study = {"rows": [[*map(int, row), float(value)] for row, value in zip(design, y)], "effects": [{k: float(v) if isinstance(v, float) else v for k, v in one.items()} for one in effects]}

# Effects of a design that is spread over ranges: a linear, b logarithmic, w of three words; a plane with all products for each text. Each effect is
# what the model predicts from one end to the other with the rest in the middle, of products the difference of two such.
spread = pd.DataFrame({"a": np.round(rng.uniform(0, 2, 24), 6), "b": np.round(10 ** rng.uniform(-2, 0, 24), 6), "w": rng.permutation(np.repeat(["x", "y", "z"], 8))})
spread["u"], spread["v"] = spread.a / 2, np.log(spread.b / 0.01) / np.log(100)
texts = 9
observed = [np.round(rng.normal() + (0.5 + 0.2 * rng.normal()) * spread.u - 0.3 * spread.u * spread.v + 0.2 * (spread.w == "z") + 0.1 * rng.normal(size=24), 6) for _ in range(texts)]
words = ["x", "y", "z"]


def told(model):
    def at(u, v, w):
        return model.predict(pd.DataFrame({"u": [u], "v": [v], "w": [w]})).iloc[0]

    mean = lambda of: float(np.mean([of(w) for w in words]))
    main = [mean(lambda w: at(1, 0.5, w) - at(0, 0.5, w)), mean(lambda w: at(0.5, 1, w) - at(0.5, 0, w))]
    main += [at(0.5, 0.5, w) - at(0.5, 0.5, "x") for w in words[1:]]
    both = [mean(lambda w: at(1, 1, w) - at(0, 1, w) - at(1, 0, w) + at(0, 0, w))]
    both += [at(1, 0.5, w) - at(0, 0.5, w) - at(1, 0.5, "x") + at(0, 0.5, "x") for w in words[1:]]
    both += [at(0.5, 1, w) - at(0.5, 0, w) - at(0.5, 1, "x") + at(0.5, 0, "x") for w in words[1:]]
    return main, both


def over_texts(values):
    values = np.array(values)
    found = []
    for of in values.T:
        low, high = stats.t.interval(0.95, texts - 1, loc=of.mean(), scale=stats.sem(of))
        p = stats.permutation_test((of,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        found.append({"effect": float(of.mean()), "low": float(low), "high": float(high), "p": float(p)})
    for one, adjusted in zip(found, multipletests([one["p"] for one in found], method="holm")[1]):
        one["holm"] = float(adjusted)
    return found


whole = [smf.ols("y ~ (u + v + C(w)) ** 2", spread.assign(y=y)).fit() for y in observed]
plain = [smf.ols("y ~ u + v + C(w)", spread.assign(y=y)).fit() for y in observed]
# What the choice of settings leaves open: the plane through the means over texts.
means = smf.ols("y ~ u + v + C(w)", spread.assign(y=np.mean(observed, axis=0))).fit().conf_int()
slopes = {
    "settings": [[float(a), float(b), w] for a, b, w in zip(spread.a, spread.b, spread.w)],
    "values": [y.tolist() for y in observed],
    "all": over_texts([sum(told(model), []) for model in whole]),
    "main": over_texts([told(model)[0] for model in plain]),
    "misfit": [float(means.loc[name][1] - means.loc[name][0]) / 2 for name in ("u", "v", "C(w)[T.y]", "C(w)[T.z]")],
    "explained": [float(1 - sum(model.ssr for model in of) / sum(model.centered_tss for model in of)) for of in (whole, plain)],
}

text = json.dumps({"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "pairs": pairs, "student": student, "bca": bca, "flips": flips, "holm": holm, "study": study, "slopes": slopes})
(Path(__file__).parent.parent / "test/golden/statistics.json").write_text(text + "\n")
