"""Writes test/golden/retrieval.json: what heads copy of a needle by the released rules of Retrieval_Head and HeadKV's R2, from the attention that
transformers itself returns for the default model, float32.

    pip install torch==2.7.1 transformers==5.2.0 gguf==0.17.1 accelerate==1.15.0 && python scripts/make-retrieval-golden.py MODEL.gguf
"""
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

LEADING = " The secret words are"
WORDS = ["river", "engine", "purple", "garden", "planet", "copper", "winter", "button"]
PLACES = (0.25, 0.5, 0.75)

torch.set_grad_enabled(False)
path = Path(sys.argv[1]).resolve()
of = {"gguf_file": path.name}
tokenizer = AutoTokenizer.from_pretrained(path.parent, **of)
model = AutoModelForCausalLM.from_pretrained(path.parent, **of, dtype=torch.float32, attn_implementation="eager").eval()
layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads

golden = Path(__file__).parent.parent / "test" / "golden"
texts = [text["ids"][:160] for text in json.loads((golden / "heads.json").read_text())["texts"]]
encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]

cases = []
for which, (text, place) in enumerate((text, place) for text in texts for place in PLACES):
    words = WORDS[which:] + WORDS[:which]
    needle = encode("".join(f" {word}" for word in words))
    before = text[: int(place * len(text))] + encode(LEADING)
    ids = before + needle + encode(".") + text[int(place * len(text)) :] + encode(LEADING)
    start, end = len(before), len(before) + len(needle)

    found = model(torch.tensor([ids]), use_cache=True, output_attentions=True)
    written, code, r2 = [], torch.zeros(layers, heads), torch.zeros(layers, heads)
    copied = [[set() for _ in range(heads)] for _ in range(layers)]
    while True:
        token = int(found.logits[0, -1].argmax())
        written.append(token)
        for layer, rows in enumerate(found.attentions):
            for head in range(heads):
                values, positions = torch.topk(rows[0, head, -1], len(needle))
                top = int(positions[0])
                if start <= top < end and ids[top] == token:
                    code[layer, head] += 1 / len(needle)
                    copied[layer][head].add(top)
                for value, position in zip(values.tolist(), positions.tolist()):
                    if start <= position < end:
                        r2[layer, head] += value / len(needle)
        if len(written) == len(needle):
            break
        found = model(torch.tensor([[token]]), past_key_values=found.past_key_values, use_cache=True, output_attentions=True)
    cases.append(
        {
            "ids": ids,
            "from": start,
            "to": end,
            "written": written,
            "retrieval": [[len(one) / len(needle) for one in row] for row in copied],
            "retrievalCode": [[round(float(x), 6) for x in row] for row in code],
            "retrievalR2": [[round(float(x), 7) for x in row] for row in r2],
        }
    )

madeWith = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32, CPU, attention eager"
(golden / "retrieval.json").write_text(json.dumps({"madeWith": madeWith, "layers": layers, "heads": heads, "cases": cases}, separators=(",", ":")) + "\n")
print(madeWith, [len(set(case["written"]) & set(case["ids"][case["from"] : case["to"]])) for case in cases])
