"""Writes test/golden/blocks.json: blocks of every tensor type that zslab reads, edge values among them, and their values as the gguf package has them.

    pip install numpy==2.3.5 gguf==0.17.1 && python scripts/make-blocks-golden.py
"""
import base64
import importlib.metadata
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

rng = np.random.default_rng(18)

# Of two bytes: ±0, the least and the largest number below the normal ones, the least normal one, ±1, ± the largest, ±infinity, NaN.
HALVES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]
BFLOATS = [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x3F80, 0xBF80, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0]
SINGLES = [half << 16 | low for half in BFLOATS for low in (0, 0xFFFF)]
EDGES = {"half": HALVES, "bfloat": BFLOATS, "single": SINGLES}
WIDTHS = {"half": 2, "bfloat": 2, "single": 4}

# A block's fields in order: a number of EDGES, else so many bytes: scales of sub-blocks, levels, bits above them.
TYPES = {
    "F32": ["single"],
    "F16": ["half"],
    "Q4_0": ["half", 16],
    "Q4_1": ["half", "half", 16],
    "Q5_0": ["half", 4, 16],
    "Q5_1": ["half", "half", 4, 16],
    "Q8_0": ["half", 32],
    "Q4_K": ["half", "half", 12, 128],
    "Q5_K": ["half", "half", 12, 32, 128],
    "Q6_K": [128, 64, 16, "half"],
    "BF16": ["bfloat"],
}


def edge(field, bits):
    return np.frombuffer(bits.to_bytes(WIDTHS[field], "little"), dtype=np.uint8)


def drawn(field):
    """Any bytes; of a half finite ones."""
    if field in EDGES:
        bits = int(rng.integers(2 ** (8 * WIDTHS[field])))
        return edge(field, bits & ~0x4000 if field == "half" and bits & 0x7C00 == 0x7C00 else bits)
    return rng.integers(256, size=field, dtype=np.uint8)


def extremes(field):
    if field in EDGES:
        return [edge(field, bits) for bits in EDGES[field]]
    each = np.arange(field) % 16
    return [np.full(field, byte) for byte in (0x00, 0xFF, 0x80, 0x7F, 0x3F, 0xC0)] + [each | (15 - each) << 4]


def blocks_of(fields):
    """Each extreme of each field beside drawn ones, and a few that are drawn whole."""
    blocks = [[drawn(field) for field in fields] for _ in range(64 if len(fields) == 1 else 4)]
    for i, field in enumerate(fields):
        for bytes_ in extremes(field):
            blocks.append([bytes_ if i == j else drawn(other) for j, other in enumerate(fields)])
    return np.stack([np.concatenate(block).astype(np.uint8) for block in blocks])


encode = lambda array: base64.b64encode(array.tobytes()).decode()
types = []
for name, fields in TYPES.items():
    number = GGMLQuantizationType[name]
    values, size = GGML_QUANT_SIZES[number]
    blocks = blocks_of(fields)
    assert blocks.shape[1] == size, (name, blocks.shape)
    with np.errstate(all="ignore"):
        widened = dequantize(blocks, number)
    assert widened.dtype == np.float32 and widened.shape == (len(blocks), values)
    types.append({"name": name, "type": int(number), "values": values, "bytes": size, "blocks": encode(blocks), "widened": encode(widened)})

madeWith = f"gguf {importlib.metadata.version('gguf')}, numpy {np.__version__}"
text = json.dumps({"madeWith": madeWith, "types": types}, separators=(",", ":"))
(Path(__file__).parent.parent / "test/golden/blocks.json").write_text(text + "\n")
print(madeWith, {one["name"]: len(one["blocks"]) + len(one["widened"]) for one in types})
