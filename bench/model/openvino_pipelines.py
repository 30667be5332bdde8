"""OpenVINO GenAI for bench/model: reads prompts and decodes greedily. A line of JSON in, a line of JSON out:
{"do": "version"} → {"version": V}
{"do": "open", "name": N, "model": PATH, "threads": T[, "evict": SLOTS][, "precision": "f32"]} → {}
{"do": "prompt", "name": N, "ids": [...]} → {"ms": MS}, into an empty cache, the first token chosen
{"do": "decode", "name": N, "count": C} → {"ms": [...]}, a step of the pipeline each
{"do": "close", "name": N} → {}
ms: wall time, with one thread the process's own CPU time."""
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the libraries' own lines are no answers

import numpy
import openvino
import openvino_genai as genai

# Slots of a block on CPUs, of which the sizes of an evicting cache must be multiples.
BLOCK = 32
# Tokens of a prompt read at once: 256, the default, is slower; the whole prompt, as LLMPipeline does, no faster.
BATCH = 1024


class Pipeline:
    def __init__(self, model, threads, evict, precision):
        self.clock = time.perf_counter if threads > 1 else time.process_time
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = 1
        scheduler.enable_prefix_caching = False
        scheduler.max_num_batched_tokens = BATCH
        if evict:
            scheduler.use_cache_eviction = True
            start, recent = BLOCK, 4 * BLOCK
            mode = genai.AggregationMode.NORM_SUM
            scheduler.cache_eviction_config = genai.CacheEvictionConfig(start, recent, evict, mode)
        properties = {"INFERENCE_NUM_THREADS": threads}
        if precision:
            properties["INFERENCE_PRECISION_HINT"] = precision
        self.pipeline = genai.ContinuousBatchingPipeline(model, scheduler, "CPU", properties)
        self.config = genai.GenerationConfig()
        self.config.max_new_tokens = 2**30
        self.config.ignore_eos = True
        self.config.do_sample = False
        self.request = None
        self.requests = 0

    def step(self):
        """One step of the pipeline → ms."""
        begin = self.clock()
        self.pipeline.step()
        return (self.clock() - begin) * 1000

    def leave(self):
        if self.request:
            self.request.cancel()
            self.pipeline.step()

    def prompt(self, ids):
        self.leave()
        tokens = openvino.Tensor(numpy.array([ids], dtype=numpy.int64))
        self.requests += 1
        begin = self.clock()
        self.request = self.pipeline.add_request(self.requests, tokens, self.config)
        while not self.request.can_read():
            self.pipeline.step()
        took = (self.clock() - begin) * 1000
        self.request.read()
        return took

    def decode(self, count):
        took = []
        for _ in range(count):
            took.append(self.step())
            if not self.request.can_read():
                raise RuntimeError("OpenVINO stopped decoding")
            self.request.read()
        return took


pipelines = {}


def answer(asked):
    if asked["do"] == "version":
        return {"version": genai.get_version()}
    name = asked["name"]
    if asked["do"] == "open":
        pipelines[name] = Pipeline(asked["model"], asked["threads"], asked.get("evict"), asked.get("precision"))
        return {}
    if asked["do"] == "prompt":
        return {"ms": pipelines[name].prompt(asked["ids"])}
    if asked["do"] == "decode":
        return {"ms": pipelines[name].decode(asked["count"])}
    pipelines.pop(name).leave()
    return {}


for line in sys.stdin:
    try:
        found = answer(json.loads(line))
    except Exception as error:
        found = {"error": str(error) or type(error).__name__}
    print(json.dumps(found), file=answers, flush=True)
