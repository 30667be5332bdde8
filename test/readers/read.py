"""Opens traces with pandas, polars and DuckDB, each as its users do, and prints what each found, file by file: by library
{ column: { type, values } }, missing values as null, in lists 'NaN' for what is no number. pandas is asked both ways: as it comes (missing
numbers are NaN) and with the types of the file."""

import json
import sys

import duckdb
import pandas
import polars
import pyarrow.ipc
import pyarrow.parquet



def plain(value):
    return ["NaN" if one != one else float(one) for one in value] if hasattr(value, "__iter__") and not isinstance(value, str) else value


def of_pandas(frame):
    return {
        name: {
            "type": str(frame[name].dtype),
            "values": [None if missing else plain(value) for value, missing in zip(frame[name].tolist(), frame[name].isna())],
        }
        for name in frame.columns
    }


def of_polars(frame):
    return {name: {"type": str(frame[name].dtype), "values": [plain(value) for value in frame[name].to_list()]} for name in frame.columns}


def of_duckdb(relation):
    names = relation.columns
    rows = relation.fetchall()
    return {
        name: {"type": str(kind), "values": [plain(row[at]) for row in rows]}
        for at, (name, kind) in enumerate(zip(names, relation.types))
    }


def opened(path):
    arrow = path.endswith(".arrow")
    read = pandas.read_feather if arrow else pandas.read_parquet
    if arrow:
        events = pyarrow.ipc.open_file(path).read_all()
        metadata = {key.decode(): value.decode() for key, value in events.schema.metadata.items()}
        relation = duckdb.sql("SELECT * FROM events")
    else:
        metadata = {key.decode(): value.decode() for key, value in pyarrow.parquet.read_schema(path).metadata.items()}
        relation = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
    found = {
        "pandas": of_pandas(read(path)),
        "pandas, types of the file": of_pandas(read(path, dtype_backend="pyarrow")),
        "polars": of_polars(polars.read_ipc(path) if arrow else polars.read_parquet(path)),
        "DuckDB": of_duckdb(relation),
    }
    return {"metadata": metadata, "found": found}


json.dump([opened(path) for path in sys.argv[1:]], sys.stdout, allow_nan=False)
