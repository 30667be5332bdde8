"""The same as zsmerge.c by ctypes and nothing else: python3 zsmerge.py path/to/libzslab.so"""
import sys
from array import array
from ctypes import *
F, HEADS, KV, DIM, TOKENS, STEPS = POINTER(c_float), 4, 2, 64, 2000, 100
struct = lambda name, *fields: type(name, (Structure,), {"_fields_": list(fields)})
Field = struct("Field", ("name", c_char_p), ("type", c_int32), ("offset", c_int32))
Info = struct("Info", ("name", c_char_p), ("bytes", c_int32), ("wraps", c_int32), ("fields", POINTER(Field)), ("count", c_int32))
Policy = struct("Policy", ("size", c_int32), ("chunk", c_int32), ("name", c_char_p), ("budget", c_double),
                ("block", c_void_p), ("bytes", c_int32), ("of", c_void_p))
Config = struct("Config", *[(name, c_int32) for name in "size layers heads kv dim storage trace queries origins".split()],
                ("budgets", c_void_p), ("rotation", c_void_p), ("projections", c_void_p), ("policy", Policy))
View = struct("View", ("data", F), ("head", c_int64), ("row", c_int64))
lib = CDLL(sys.argv[1])
lib.zs_last_error.restype = c_char_p

def must(status):
    if status: sys.exit(lib.zs_last_error().decode())

def noise(n, seed):
    values = array("f", bytes(4 * n))
    for i in reversed(range(n)):
        seed = (seed * 1664525 + 1013904223) % 2**32
        values[i] = (seed >> 8) / 8388608 - 1
    return (c_float * n).from_buffer(values)
rows = lambda data, tokens, at=0: View(cast(byref(data, 4 * at), F), tokens * DIM, DIM)
info, block = Info(), create_string_buffer(512)
next(i for i in range(lib.zs_policy_count()) if not must(lib.zs_policy_describe(i, byref(info))) and info.name == b"zsmerge")
for name, x in dict(recent=0.5, residual=16, alpha=1, history=1, decay=0.98).items():
    field = next(f for f in info.fields[:info.count] if f.name == name.encode())
    kind = (c_int32, c_int64, c_float, c_double)[field.type]
    kind.from_buffer(block, field.offset).value = x
config = Config(sizeof(Config), 1, HEADS, KV, DIM, 2, 0, 0, 1, policy=Policy(sizeof(Policy), 1, b"zsmerge", 200, addressof(block), info.bytes))
q, k, v = noise(HEADS * TOKENS * DIM, 1), noise(KV * TOKENS * DIM, 2), noise(KV * TOKENS * DIM, 3)
out, engine, cache, layer, c = (c_float * len(q))(), c_void_p(), c_void_p(), (c_int64 * 3)(), c_int64
must(lib.zs_engine_create(0, -1, byref(engine)) or lib.zs_cache_create(engine, byref(config), byref(cache)))
must(lib.zs_cache_prefill(cache, 0, *(rows(x, TOKENS) for x in (q, k, v)), c(TOKENS), c(0), rows(out, TOKENS), None))
for n in range(STEPS): must(lib.zs_cache_extend(cache, 0, *(rows(x, 1, n * DIM) for x in (q, k, v)), c(1), rows(out, 1), None))
must(lib.zs_cache_layer(cache, 0, layer))
print(f"seen {layer[0]} slots {layer[1]} out {out[0]:.6f}")
