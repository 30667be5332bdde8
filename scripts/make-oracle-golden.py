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
    seen = [*range(prompt), *(x for slot in fitted for x in slot if x >= prompt)]
    K, V, Q = k.astype(float), v.astype(float), q.astype(float)
    centre = lambda rows, how: np.array([rows[slot[0]] if how == "fixed" else rows[slot].mean(0) for slot in fitted])
    c = centre(K, keys)
    rows = min(prompt, -(-each * len(fitted) // group))
    queries = Q[prompt - rows : prompt].reshape(-1, d)
    full = queries @ K[seen].T / np.sqrt(d)
    top = full.max(1, keepdims=True)
    a = np.exp(queries @ c.T / np.sqrt(d) - top)
    b = np.exp(full - top).sum(1)
    ridge = RIDGE if len(queries) < 4 * len(fitted) else 0
    w, _ = nnls(*(with_ridge(a, b, ridge) if ridge else (a, b)))
    clamped = np.maximum(np.linalg.lstsq(*with_ridge(a, b, RIDGE), rcond=None)[0], 1e-12)
    p = np.exp(full - top)
    outputs = (p / p.sum(1, keepdims=True)) @ V[seen]
    used = w > 0
    x = a[:, used] * w[used]
    x /= x.sum(1, keepdims=True)
    found = np.linalg.lstsq(*(with_ridge(x, outputs, ridge) if ridge else (x, outputs)), rcond=None)[0]
    values = centre(V, "mean")
    values[used] = found
    return dict(
        group=group, headDim=d, promptTokens=prompt, each=each, keys=keys, slots=slots, k=numbers(k), v=numbers(v), q=numbers(q),
        weights=numbers(w), clamped=numbers(clamped), values=numbers(values), equations=len(queries), ridge=ridge,
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
