"""Opens every object of a lake with a foreign reader and compares every value with what was put there.

lake_readers.py pyarrow|duckdb LAKE EXPECTED

EXPECTED: one JSON document a line: {"key", "source", "account", "day", "rows": [OCSF event, ...]}, rows in file order.
"""

import datetime
import json
import pathlib
import re
import sys

UTC = datetime.timezone.utc
REGION = "eu-west-1"


def instant(text):
    """A timestamp's text, ours or DuckDB's, as one form."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00(?::00)?)?", text)
    if not match:
        return None
    return f"{match[1]}T{match[2]}.{(match[3] or '').ljust(3, '0')[:3]}Z"


def compare(expected, found, path):
    """Every value of `expected` is in `found`, and nothing else but nulls."""
    if path == "unmapped" and isinstance(found, list):
        found = dict(found)
    if isinstance(found, datetime.datetime):
        assert found.tzinfo is not None, f"{path}: no zone"
        found = found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.microsecond // 1000:03}Z"
        found = found.rjust(24, "0")
    if isinstance(found, str) and not isinstance(expected, str):
        found = json.loads(found)  # JSON text: json_t, and objects below the depth cut
    if isinstance(expected, dict):
        assert isinstance(found, dict), f"{path}: {found!r} is no object"
        found = {name: value for name, value in found.items() if value is not None}
        if path == "":
            found = {name: value for name, value in found.items() if name not in ("region", "accountId", "eventDay")}
        assert expected.keys() == found.keys(), f"{path}: {sorted(expected)} != {sorted(found)}"
        for name, value in expected.items():
            compare(value, found[name], f"{path}.{name}".lstrip("."))
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(expected) == len(found), f"{path}: {expected!r} != {found!r}"
        for index, value in enumerate(expected):
            compare(value, found[index], f"{path}[{index}]")
    else:
        same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
        if not same and path.endswith("_dt") and isinstance(found, str):
            same = instant(expected) == instant(found)
        assert same, f"{path}: {expected!r} != {found!r}"


def rows_equal(entry, found):
    assert len(entry["rows"]) == len(found), f"{entry['key']}: {len(found)} rows"
    for index, (expected, row) in enumerate(zip(entry["rows"], found)):
        try:
            compare(expected, row, "")
        except AssertionError as error:
            raise AssertionError(f"{entry['key']} row {index}: {error}") from None


def sources(entries):
    found = {}
    for entry in entries:
        found.setdefault(entry["source"], []).append(entry)
    return found


def check_pyarrow(lake, entries):
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    def types(name, ty):
        if pa.types.is_struct(ty):
            for field in ty:
                types(field.name, field.type)
        elif pa.types.is_list(ty):
            types(name, ty.value_type)
        elif name.endswith("_id"):
            assert ty == pa.int32(), f"{name}: {ty}"
        elif name.endswith("_dt"):
            assert ty == pa.timestamp("ms", tz="UTC"), f"{name}: {ty}"
        elif name.endswith("_time") and name != "original_time":
            assert ty == pa.int64(), f"{name}: {ty}"

    for entry in entries:
        file = pq.ParquetFile(lake / entry["key"])
        schema = file.schema_arrow
        assert schema.metadata is None or b"ARROW:schema" not in schema.metadata
        for field in schema:
            types(field.name, field.type)
        assert schema.field("time").type == pa.int64()
        assert schema.field("time_dt").type == pa.timestamp("ms", tz="UTC")
        assert schema.field("unmapped").type == pa.map_(pa.string(), pa.string())
        assert all(field.nullable for field in schema)
        rows_equal(entry, file.read().to_pylist())

    names = pa.schema([(name, pa.string()) for name in ("region", "accountId", "eventDay")])
    for source, expected in sources(entries).items():
        dataset = ds.dataset(lake / source, format="parquet", partitioning=ds.partitioning(names, flavor="hive"))
        table = dataset.to_table(columns=["region", "accountId", "eventDay", "metadata"]).to_pylist()
        found = sorted((row["region"], row["accountId"], row["eventDay"], row["metadata"]["uid"]) for row in table)
        assert found == partitions(expected), f"{source}: partitions"
    # The whole folder, as somebody would point a reader at it: nothing but objects, no leftovers.
    assert len(ds.dataset(lake, format="parquet").files) == len(entries)


def partitions(entries):
    return sorted(
        (REGION, entry["account"], entry["day"], row["metadata"]["uid"]) for entry in entries for row in entry["rows"]
    )


def check_duckdb(lake, entries):
    import duckdb

    # Offline: whatever is not in the wheel is not needed.
    options = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    db = duckdb.connect(config=options)
    for entry in entries:
        path = str(lake / entry["key"])
        found = db.execute("SELECT to_json(t) FROM read_parquet(?, hive_partitioning = false) t", [path]).fetchall()
        rows_equal(entry, [json.loads(row[0]) for row in found])
        described = db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
        types = {row[0]: row[1] for row in described}
        assert types["time"] == "BIGINT", types["time"]
        assert types["time_dt"] == "TIMESTAMP WITH TIME ZONE", types["time_dt"]
        assert types["unmapped"] == "MAP(VARCHAR, VARCHAR)", types["unmapped"]
        wrong = {name: ty for name, ty in types.items() if name.endswith("_id") and ty != "INTEGER"}
        assert not wrong, wrong
        assert {"region", "accountId", "eventDay"} <= types.keys(), "hive partitions"

    for source, expected in sources(entries).items():
        found = db.execute(
            "SELECT region, accountId, eventDay, metadata.uid FROM read_parquet(?, hive_partitioning = true,"
            " hive_types_autocast = false)",
            [str(lake / source / "**" / "*.parquet")],
        ).fetchall()
        assert sorted(found) == partitions(expected), f"{source}: partitions"
        count = db.execute(
            "SELECT count(*) FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false)"
            " WHERE region = ? AND accountId = 'external' AND eventDay = ?",
            [str(lake / source / "**" / "*.parquet"), REGION, expected[0]["day"]],
        ).fetchone()[0]
        day, account = expected[0]["day"], "external"
        wanted = sum(len(e["rows"]) for e in expected if (e["account"], e["day"]) == (account, day))
        assert count == wanted, f"{source}: {count} != {wanted}"


def main():
    reader, lake, expected = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    with open(expected, encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    assert entries, "nothing to read"
    {"pyarrow": check_pyarrow, "duckdb": check_duckdb}[reader](lake, entries)
    print(f"{reader}: {len(entries)} objects, {sum(len(entry['rows']) for entry in entries)} rows")


main()
