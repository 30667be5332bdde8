"""What other libraries take for the decode attention that bench_cuda times, in turns with it: PyTorch's scaled_dot_product_attention and FlashInfer.

    peers.py BENCH    the program bench_cuda

One JSON object a line, as the bench has them; what could not run says why. They do not keep the scores that ours writes. bfloat16; graphs over
sets that are together more than a GPU's cache holds.
"""
import json
import statistics
import subprocess
import sys

TURNS = 3
SET_BYTES = 400 << 20
# (what bench_cuda calls it, how many sequences, kv heads, group, headDim, slots: None = bench_cuda's own)
SHAPES = [
    ("decode", 16, 8, 4, 128, None),
    ("single", 1, 4, 8, 128, 1024),
    ("single", 1, 4, 8, 128, 4096),
]


def tell(what, **members):
    print(json.dumps({"what": what, **members}, separators=(",", ":")), flush=True)


def ours(bench):
    """Lines of bench_cuda's attention."""
    done = subprocess.run([bench, "attention"], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def line_of(lines, shape):
    name, _, _, group, dim, slots = shape
    for line in lines:
        if line["bench"] != name:
            continue
        if slots == line["slots"] if slots else (line["group"], line["headDim"]) == (group, dim):
            return line
    raise LookupError(f"bench_cuda has no line for {shape}")


def graph_of(torch, works):
    """A graph that does each of `works` once; every one of them is done before, for what a first call sets up."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for work in works:
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for work in works:
            work()
    return graph


def microseconds(torch, graph, count):
    times = []
    for _ in range(12):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(1e3 * begin.elapsed_time(end) / count)
    return statistics.median(times[1:])


def caches(torch, sequences, kv_heads, group, dim, slots, layout):
    """Queries, keys and values of as many sets as it takes; layout(sequences, kv_heads, slots, dim) is a cache's shape."""
    sets = SET_BYTES // (sequences * kv_heads * slots * dim * 4) + 1
    make = lambda *shape: torch.randn(*shape, dtype=torch.bfloat16, device="cuda")
    shape = layout(sequences, kv_heads, slots, dim)
    return [(make(sequences, kv_heads * group, 1, dim), make(*shape), make(*shape)) for _ in range(sets)]


def scaled_dot_product(torch, shape):
    attention = torch.nn.functional.scaled_dot_product_attention
    made = caches(torch, *shape, lambda b, h, t, d: (b, h, t, d))
    return [lambda q=q, k=k, v=v: attention(q, k, v, enable_gqa=True) for q, k, v in made]


def flashinfer(torch, shape):
    import flashinfer

    sequences, kv_heads, group, dim, slots = shape
    page = 16
    made = caches(torch, *shape, lambda b, h, t, d: (b * t // page, page, h, d))
    indices = torch.arange(sequences * slots // page, dtype=torch.int32, device="cuda")
    starts = torch.arange(0, sequences + 1, dtype=torch.int32, device="cuda") * (slots // page)
    last = torch.full((sequences,), page, dtype=torch.int32, device="cuda")
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(
        torch.zeros(128 << 20, dtype=torch.uint8, device="cuda"),
        "NHD",
        use_cuda_graph=True,
        paged_kv_indptr_buffer=starts.clone(),
        paged_kv_indices_buffer=indices.clone(),
        paged_kv_last_page_len_buffer=last.clone(),
    )
    wrapper.plan(starts, indices, last, kv_heads * group, kv_heads, dim, page, q_data_type=torch.bfloat16, kv_data_type=torch.bfloat16)
    return [lambda q=q, k=k, v=v: wrapper.run(q[:, :, 0], (k, v)) for q, k, v in made]


PEERS = {"PyTorch scaled_dot_product_attention": scaled_dot_product, "FlashInfer": flashinfer}


def in_turns(torch, bench, name, peer, first):
    graphs = {}
    for shape in SHAPES:
        line = line_of(first, shape)
        works = peer(torch, (*shape[1:5], shape[5] or line["slots"]))
        graphs[shape] = (graph_of(torch, works), len(works))
    times = {shape: [] for shape in SHAPES}
    for _ in range(TURNS):
        lines = ours(bench)
        for shape, (graph, count) in graphs.items():
            times[shape].append((line_of(lines, shape)["us"][1], microseconds(torch, graph, count)))
    for shape, pairs in times.items():
        _, sequences, kv_heads, group, dim, slots = shape
        slots = slots or line_of(first, shape)["slots"]
        ratios = sorted(theirs / own for own, theirs in pairs)
        own, theirs = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        tell(
            f"{name} : zslab, {sequences} sequences, {kv_heads * group} query heads on {kv_heads}, headDim {dim}, {slots} slots",
            result=f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) times the time; {theirs:.1f} against {own:.1f} us",
            bench="peer",
            peer=name,
            batch=sequences,
            kvHeads=kv_heads,
            group=group,
            headDim=dim,
            slots=slots,
            us=own,
            peerUs=theirs,
            ratio=[ratios[0], statistics.median(ratios), ratios[-1]],
        )


def main(bench):
    try:
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError("its PyTorch finds no GPU")
    except Exception as why:
        for name in PEERS:
            tell(name, notRun=plain(f"PyTorch cannot be used: {why}"))
        return
    first = ours(bench)
    for name, peer in PEERS.items():
        try:
            in_turns(torch, bench, name, peer, first)
        except Exception as why:
            tell(name, notRun=plain(f"{type(why).__name__}: {why}"))


def plain(text):
    """A line without what the proof's shell takes for the end of a word."""
    return text.splitlines()[0].replace('"', "'").replace("\\", "/")[:200]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
