"""Rows of Parquet objects as NDJSON, as pyarrow reads them.

usage: parquet_rows.py FILE.parquet [FILE.parquet ...]

Writes FILE.parquet.ndjson beside each.
Nulls stay; timestamps become RFC 3339, maps become objects.
"""

import datetime
import json
import sys

import pyarrow
import pyarrow.parquet


def plain(value, kind):
    if value is None:
        return None
    if pyarrow.types.is_map(kind):
        return {key: plain(item, kind.item_type) for key, item in value}
    if pyarrow.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if pyarrow.types.is_list(kind):
        return [plain(item, kind.value_type) for item in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


for path in sys.argv[1:]:
    table = pyarrow.parquet.ParquetFile(path).read()
    with open(path + ".ndjson", "w", encoding="utf-8") as out:
        for row in table.to_pylist():
            out.write(json.dumps({field.name: plain(row[field.name], field.type) for field in table.schema}) + "\n")
