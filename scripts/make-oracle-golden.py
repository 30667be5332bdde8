"""Writes test/golden/oracles.json: what scipy and numpy say of oracle weights and values on fixed heads, and of plain least squares.

    pip install numpy==2.3.5 scipy==1.16.3 && python scripts/make-oracle-golden.py
"""
import json
from pathlib import Path

import numpy as np
import scipy
from scipy.optimize import nnls

RIDGE = 1e-3


def numbers(array):
    return [float(f"{x:.9g}") for x in np.asarray(array).ravel()]


def with_ridge(a, b, ridge):
    if not ridge:
        return a, b
    return np.vstack([a, np.sqrt(ridge) * np.eye(a.shape[1])]), np.concatenate([b, np.zeros((a.shape[1],) + b.shape[1:])])


def head(rng, *, group, d, prompt, later, each, keys="mean", spread=1.0):
    tokens = prompt + later
    k, v = ((rng.normal(size=(tokens, d)) * scale).astype(np.float32) for scale in (spread, 1.0))
    q = (rng.normal(size=(tokens, group, d)) * spread + 0.5).astype(np.float32)
    order = rng.permutation(prompt)
    # Two merged slots, one with a token that came later; some tokens are gone.
    slots = [[*order[:4], prompt], [*order[4:7]], *([x] for x in sorted(order[7 : prompt - 9])), *([x] for x in range(prompt + 1, tokens))]
    slots = [[int(x) for x in slot] for slot in slots]
    fitted = [slot for slot in slots if min(slot) < prompt]
    K, V, Q = k.astype(float), v.astype(float), q.astype(float)
    own = np.array([V[slot].mean(0) for slot in fitted])
    count = np.array([len(slot) for slot in fitted])

    def rows_for(slots):
        return min(prompt, -(-each * slots // group))

    def ridge_for(slots):
        return RIDGE if rows_for(slots) * group < 4 * slots else 0

    # Each query sees the tokens up to its own, and so many of a slot's members.
    rows = rows_for(len(fitted))
    a, b, outputs = [], [], []
    for position in range(prompt - rows, prompt):
        for query in Q[position]:
            full = K[: position + 1] @ query / np.sqrt(d)
            top = full.max()
            p = np.exp(full - top)
            row = []
            for slot in fitted:
                members = [x for x in slot if x <= position]
                if not members:
                    row.append(0)
                    continue
                c = K[members[0]] if keys == "fixed" else K[members].mean(0)
                row.append(len(members) / len(slot) * np.exp(c @ query / np.sqrt(d) - top))
            a.append(row)
            b.append(p.sum())
            outputs.append(p @ V[: position + 1] / p.sum())
    a, b, outputs = map(np.array, (a, b, outputs))

    def weights(free, solve):
        n, ridge = rows_for(free.sum()) * group, ridge_for(free.sum())
        found = np.ones(len(fitted))
        found[free] = solve(*with_ridge(a[-n:, free], b[-n:] - a[-n:, ~free].sum(1), ridge))
        return found

    def values(free, w):
        n, ridge = rows_for(free.sum()) * group, ridge_for(free.sum())
        used = free & (w > 0)
        x = a[-n:] * w
        x /= np.maximum(x.sum(1, keepdims=True), 1e-300)  # rows of slots that nothing reads
        found = own.copy()
        found[used] = np.linalg.lstsq(*with_ridge(x[:, used], outputs[-n:] - x[:, ~used] @ own[~used], ridge), rcond=None)[0]
        return found

    everything, merged = np.ones(len(fitted), bool), count > 1
    w, alone = (weights(free, lambda *system: nnls(*system)[0]) for free in (everything, merged))
    clamped = np.maximum(np.linalg.lstsq(*with_ridge(a, b, ridge_for(len(fitted)) or RIDGE), rcond=None)[0], 1e-12)
    return dict(
        group=group, headDim=d, promptTokens=prompt, each=each, keys=keys, slots=slots, k=numbers(k), v=numbers(v), q=numbers(q),
        weights=dict(bias=numbers(w), clamped=numbers(clamped), merged=numbers(alone)),
        values=dict(values=numbers(values(everything, w)), mergedValues=numbers(values(merged, alone))),
        equations=rows * group, ridge=max(ridge_for(len(fitted)), ridge_for(merged.sum())),
    )


def system(rng, rows, unknowns, sides, *, rank=None, scales=0.0):
    if rank:  # whole numbers, so that the rank is exact
        a = (rng.integers(-3, 4, size=(rows, rank)) @ rng.integers(-3, 4, size=(rank, unknowns))).astype(float)
    else:
        a = np.round(rng.normal(size=(rows, unknowns)), 3) * 10.0 ** (scales * rng.integers(-1, 2, size=unknowns))
    b = np.round(rng.normal(size=(rows, sides)), 3)
    a = np.array(numbers(a)).reshape(a.shape)
    positive, left = nnls(a, b[:, 0])
    return dict(
        rows=rows, unknowns=unknowns, sides=sides, a=numbers(a), b=numbers(b),
        solution=numbers(np.linalg.lstsq(a, b, rcond=None)[0]), nonNegative=numbers(positive), left=left, rank=rank or unknowns,
    )


rng = np.random.default_rng(7)
golden = dict(
    numpy=np.__version__,
    scipy=scipy.__version__,
    heads=[
        head(rng, group=2, d=6, prompt=30, later=3, each=8),
        head(rng, group=1, d=8, prompt=24, later=2, each=8),
        head(rng, group=3, d=5, prompt=26, later=4, each=6, keys="fixed"),
        head(rng, group=3, d=4, prompt=20, later=2, each=4, spread=2.5),
        head(rng, group=1, d=16, prompt=20, later=1, each=1),
    ],
    systems=[
        system(rng, 20, 6, 3),
        system(rng, 9, 9, 1),
        system(rng, 40, 12, 2, scales=3.0),
        system(rng, 30, 8, 2, rank=5),
        system(rng, 4, 7, 2),
    ],
)
path = Path(__file__).parent.parent / "test/golden/oracles.json"
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(path.stat().st_size, "bytes")
