#!/usr/bin/env bash
# papermill 2.7.0 sets parameters only in languages for which it has a translator; TypeScript and JavaScript are none of them. With -p it
# ends before it starts a kernel, with PapermillException and no output notebook, also where the cell tagged "parameters" is there.
# --language chooses the translator and nothing else (not the kernel): that for C# (.net-csharp) writes `var budget = 0.4;`, which is
# TypeScript as well, for numbers, text and booleans; its lists (`new [] { 1, 2 }`) are not.
# Exit status 1 if papermill does otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q papermill==2.7.0
cat > in.ipynb <<'NOTEBOOK'
{"nbformat": 4, "nbformat_minor": 5,
 "metadata": {"kernelspec": {"name": "any", "display_name": "any", "language": "typescript"}, "language_info": {"name": "typescript"}},
 "cells": [{"cell_type": "code", "id": "one", "metadata": {"tags": ["parameters"]}, "source": "let budget = 0.1", "outputs": [], "execution_count": null}]}
NOTEBOOK
run() { venv/bin/papermill --prepare-only --no-progress-bar "$@" in.ipynb out.ipynb >log 2>&1; }
injected() {
  venv/bin/python -c "
import json
for cell in json.load(open('out.ipynb'))['cells']:
    if 'injected-parameters' in cell['metadata']['tags']: print(''.join(cell['source']))"
}

if run -p budget 0.4; then echo 'otherwise: parameters were set'; exit 1; fi
tail -n 1 log
grep -q "No parameter translator functions specified for kernel 'any' or language 'typescript'" log
if [[ -e out.ipynb ]]; then echo 'otherwise: an output was written'; exit 1; fi

run -p budget 0.4 -p name 'a "b"' -p on True --language .net-csharp
injected | tee cell
grep -qx 'var budget = 0.4;' cell
grep -qx 'var name = "a \\"b\\"";' cell
grep -qx 'var on = true;' cell
run -y 'sizes: [1, 2]' --language .net-csharp
injected | tee cell
grep -q 'new \[\]' cell
