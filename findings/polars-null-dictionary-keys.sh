#!/usr/bin/env bash
# In an Arrow dictionary column the key of a null may be anything: the format leaves it undefined, and pyarrow 26.0.1 validates a file with −1
# there, fully, and reads it. polars 2.1.0 refuses the same file in read_ipc with ComputeError ("The dictionary key must fit in a `usize`, but
# -1 does not"), though the null would never be looked up; with key 0 under the null it reads it. Whoever marks what is missing by −1 (as
# categories do) has to write another key.
# Exit status 1 if polars or pyarrow do otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q polars==2.1.0 pyarrow==26.0.1
venv/bin/python - <<'PYTHON'
import polars
import pyarrow
from pyarrow import ipc


def written(key):
    """A column of 'a' and null, with `key` as the null's."""
    buffers = [pyarrow.py_buffer(b"\x01"), pyarrow.py_buffer(bytes([0, key & 255]))]
    keys = pyarrow.Array.from_buffers(pyarrow.int8(), 2, buffers, null_count=1)
    table = pyarrow.table({"word": pyarrow.DictionaryArray.from_arrays(keys, pyarrow.array(["a"]))})
    with ipc.new_file("x.arrow", table.schema) as out:
        out.write_table(table)
    read = ipc.open_file("x.arrow").read_all()
    read.validate(full=True)
    assert read["word"].to_pylist() == ["a", None], read


written(0)
assert polars.read_ipc("x.arrow")["word"].to_list() == ["a", None]
written(-1)
try:
    found = polars.read_ipc("x.arrow")
except polars.exceptions.ComputeError as error:
    print("polars", polars.__version__, "with key -1 under a null:", error)
    assert "dictionary key must fit" in str(error), error
else:
    raise SystemExit(f"otherwise: polars read {found}")
PYTHON
