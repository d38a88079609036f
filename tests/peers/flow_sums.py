"""Sums of flow logs' tuples, from a blob's own text and from the Parquet objects made of it, by two readers: they must be equal.

usage: flow_sums.py FOLDER     FOLDER/blob.json, FOLDER/*.parquet

Says how many rows there are. Tuples that are not as they should be are left out as the product must leave them out; what is
looked at here is written independently of it, from what is published about the logs.
"""

import collections
import ipaddress
import json
import pathlib
import re
import sys

import duckdb
import pyarrow.parquet

NAMES = ("packets_out", "bytes_out", "packets_in", "bytes_in")
ACTIVITY = {"B": 1, "C": 6, "E": 2, "D": 5}


def records(text):
    """Every JSON object at the place of a record."""
    decoder = json.JSONDecoder()
    text = text.lstrip("\ufeff")
    start = text.find("[") + 1 if re.match(r'\s*(\{\s*"records"\s*:\s*)?\[', text) else 0
    at = start
    while at < len(text):
        if text[at] in " \t\r\n,":
            at += 1
            continue
        if text[at] == "]":
            return
        if text[at] != "{":
            at = re.compile(r'("(?:[^"\\]|\\.)*"|[^,{\]"])*').match(text, at).end()
            continue
        try:
            record, at = decoder.raw_decode(text, at)
            yield record
        except json.JSONDecodeError:
            # A broken record ends where its braces do; strings hold none in the samples that have one.
            depth = 0
            for end in range(at, len(text)):
                depth += (text[end] == "{") - (text[end] == "}")
                if depth == 0:
                    at = end + 1
                    break
            else:
                return


def tuples(record):
    kind = record.get("category") or ("FlowLogFlowEvent" if "flowRecords" in record else "NetworkSecurityGroupFlowEvent")
    if kind == "FlowLogFlowEvent":
        for flow in (record.get("flowRecords") or {}).get("flows") or []:
            for group in flow.get("flowGroups") or []:
                for line in group.get("flowTuples") or []:
                    yield "network", line
    elif kind == "NetworkSecurityGroupFlowEvent":
        for flow in (record.get("properties") or {}).get("flows") or []:
            for group in flow.get("flows") or []:
                for line in group.get("flowTuples") or []:
                    yield "group", line
    for inner in record.get("records") or []:
        yield from tuples(inner)


def number(text, most):
    return re.fullmatch(r"[0-9]{1,19}", text) is not None and int(text) <= most


def ip(text):
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def read(kind, line):
    """Activity and counters of a tuple; None where it is none."""
    if not isinstance(line, str):
        return None
    fields = line.split(",")
    if not 8 <= len(fields) <= 13:
        return None
    time, source, destination, source_port, destination_port, protocol, direction = fields[:7]
    good = number(time, 10**14) and ip(source) and ip(destination) and direction in ("I", "O")
    good = good and all(port == "" or number(port, 65535) for port in (source_port, destination_port))
    good = good and (number(protocol, 255) or (kind == "group" and protocol in ("T", "U")))
    if not good:
        return None
    if kind == "network":
        activity = ACTIVITY.get(fields[7], 99)
    elif fields[7] == "D":
        activity = 5
    else:
        activity = ACTIVITY.get(fields[8] if len(fields) > 8 else "B", 99)
    counters = [int(text) if text else None for text in fields[9:]]
    return activity, counters + [None] * (4 - len(counters))


def source(path):
    found = collections.Counter()
    for record in records(path.read_text(encoding="utf-8")):
        for kind, line in tuples(record):
            made = read(kind, line)
            if made is None:
                continue
            activity, counters = made
            found["rows"] += 1
            found[f"activity {activity}"] += 1
            for name, value in zip(NAMES, counters):
                found[name] += value or 0
                found[f"{name} absent"] += value is None
            for name, one, other in (("packets", 0, 2), ("bytes", 1, 3)):
                if counters[one] is not None and counters[other] is not None:
                    found[name] += counters[one] + counters[other]
    return found


def by_pyarrow(paths):
    found = collections.Counter()
    for path in paths:
        table = pyarrow.parquet.read_table(path, columns=["activity_id", "traffic", "metadata", "time", "time_dt"])
        rows = table.to_pylist()
        times = [row["time"] for row in rows]
        assert times == sorted(times), f"{path}: not sorted"
        assert all(int(row["time_dt"].timestamp() * 1000 + 0.5) == row["time"] for row in rows), f"{path}: time_dt"
        assert len({row["metadata"]["uid"] for row in rows}) == len(rows), f"{path}: uids"
        for row in rows:
            traffic = row["traffic"] or {}
            found["rows"] += 1
            found[f"activity {row['activity_id']}"] += 1
            for name in NAMES:
                found[name] += traffic.get(name) or 0
                found[f"{name} absent"] += traffic.get(name) is None
            for name in ("packets", "bytes"):
                found[name] += traffic.get(name) or 0
    return found


def by_duckdb(folder):
    db = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    paths = str(folder / "*.parquet")
    sums = ", ".join(f"coalesce(sum(traffic.{name}), 0)::BIGINT" for name in NAMES + ("packets", "bytes"))
    nulls = ", ".join(f"count(*) FILTER (traffic.{name} IS NULL)" for name in NAMES)
    row = db.execute(f"SELECT count(*), {sums}, {nulls} FROM read_parquet(?)", [paths]).fetchone()
    names = ["rows", *NAMES, "packets", "bytes", *(f"{name} absent" for name in NAMES)]
    found = collections.Counter(dict(zip(names, row)))
    for activity, count in db.execute("SELECT activity_id, count(*) FROM read_parquet(?) GROUP BY 1", [paths]).fetchall():
        found[f"activity {activity}"] = count
    return found


folder = pathlib.Path(sys.argv[1])
expected = +source(folder / "blob.json")
for reader, found in (
    ("pyarrow", +by_pyarrow(sorted(folder.glob("*.parquet")))),
    ("duckdb", +by_duckdb(folder)),
):
    assert expected == found, f"{reader}: {dict(expected - found)} missing, {dict(found - expected)} too much"
print(f"{expected['rows']} rows, {dict(expected)}")
