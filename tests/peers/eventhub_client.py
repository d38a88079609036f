"""Microsoft's own Event Hubs client for Python against a namespace: what it lists, sends and receives, as JSON.

usage: eventhub_client.py CONNECTION_STRING CONSUMER_GROUP

The hub must be empty and have four partitions.
"""

import json
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

# The client logs a traceback for every receiver that is displaced, which is a part of this test.
logging.getLogger("azure").setLevel(logging.CRITICAL)

connection_string, group = sys.argv[1:3]
out = {}


def millis(when):
    return round(when.timestamp() * 1000)


def describe(event):
    return {
        "sequence": event.sequence_number,
        "offset": event.offset,
        "enqueued": millis(event.enqueued_time),
        "key": event.partition_key.decode() if event.partition_key else None,
        "body": event.body_as_str(),
        "properties": {key.decode() if isinstance(key, bytes) else key: value.decode() if isinstance(value, bytes) else value
                       for key, value in (event.properties or {}).items()},
    }


def receive(partition, count, **options):
    """Receives `count` events of one partition from a position. Closing the client ends `receive`."""
    client = EventHubConsumerClient.from_connection_string(connection_string, group)
    events, tracked = [], []

    def on_event(context, event):
        if event is None:
            return
        events.append(describe(event))
        if options.get("track_last_enqueued_event_properties"):
            last = context.last_enqueued_event_properties
            tracked.append({"sequence": last["sequence_number"], "offset": last["offset"],
                            "enqueued": millis(last["enqueued_time"])})
        if len(events) >= count:
            done.set()

    done = threading.Event()
    thread = threading.Thread(
        target=lambda: client.receive(on_event, partition_id=partition, max_wait_time=1, **options), daemon=True)
    thread.start()
    complete = done.wait(15)
    client.close()
    thread.join(5)
    if not complete:
        raise SystemExit(f"partition {partition}, {options}: {len(events)} of {count} events")
    return (events, tracked) if tracked else events


def send():
    with EventHubProducerClient.from_connection_string(connection_string) as producer:
        batch = producer.create_batch(partition_id="0")
        for n in range(20):
            event = EventData(f"zero {n}")
            event.properties = {"n": n, "name": f"event {n}"}
            batch.add(event)
        producer.send_batch(batch)
        batch = producer.create_batch(partition_key="vm-1")
        for n in range(5):
            batch.add(EventData(f"keyed {n}"))
        producer.send_batch(batch)
        for n in range(8):
            producer.send_batch([EventData(f"round {n}")])
        producer.send_event(EventData("single"), partition_id="1")
        producer.send_event(EventData("keyed single"), partition_key="vm-1")
        # More than one frame.
        producer.send_event(EventData("x" * 300_000), partition_id="2")


def steal():
    """A reader with a higher owner level displaces the one that is there."""
    first = EventHubConsumerClient.from_connection_string(connection_string, group)
    second = EventHubConsumerClient.from_connection_string(connection_string, group)
    stolen, reading, errors = threading.Event(), threading.Event(), []

    def on_error(context, error):
        errors.append(str(error))
        stolen.set()

    def read(client, level, on_event, on_error=None):
        client.receive(on_event, partition_id="0", starting_position="-1", owner_level=level, max_wait_time=1,
                       on_error=on_error)

    threads = [
        threading.Thread(target=read, args=(first, 1, lambda *_: reading.set(), on_error), daemon=True),
        threading.Thread(target=read, args=(second, 2, lambda *_: None), daemon=True),
    ]
    threads[0].start()
    reading.wait(10)
    threads[1].start()
    stolen.wait(15)
    first.close()
    second.close()
    return errors[:1]


def properties():
    client = EventHubConsumerClient.from_connection_string(connection_string, group)
    with client:
        hub = client.get_eventhub_properties()
        partitions = [client.get_partition_properties(id) for id in client.get_partition_ids()]
    return {
        "hub": {"name": hub["eventhub_name"], "created": millis(hub["created_at"]), "ids": hub["partition_ids"]},
        "partitions": [
            {"id": p["id"], "begin": p["beginning_sequence_number"], "last": p["last_enqueued_sequence_number"],
             "offset": p["last_enqueued_offset"], "enqueued": millis(p["last_enqueued_time_utc"].replace(tzinfo=timezone.utc)),
             "empty": p["is_empty"]}
            for p in partitions
        ],
    }


def refused(connection_string):
    """What a client with a wrong key is told."""
    client = EventHubConsumerClient.from_connection_string(connection_string, group, retry_total=0)
    try:
        with client:
            client.get_partition_ids()
        return None
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


out["empty"] = properties()
send()
out["full"] = properties()
counts = [p["last"] + 1 for p in out["full"]["partitions"]]
inclusive = {"starting_position_inclusive": True}
# Four at a time: a partition serves at most five readers of a group.
with ThreadPoolExecutor(4) as pool:
    earliest = [pool.submit(receive, str(id), count, starting_position="-1") for id, count in enumerate(counts)]
    out["earliest"] = [future.result() for future in earliest]
    zero = out["earliest"][0]
    before = datetime.fromtimestamp(zero[0]["enqueued"] / 1000, timezone.utc) - timedelta(milliseconds=1)
    receives = {
        "sequence_exclusive": (counts[0] - 8, {"starting_position": 7}),
        "sequence_inclusive": (counts[0] - 7, {"starting_position": 7, **inclusive}),
        "offset_exclusive": (counts[0] - 12, {"starting_position": zero[11]["offset"]}),
        "offset_inclusive": (counts[0] - 11, {"starting_position": zero[11]["offset"], **inclusive}),
        "time": (counts[0], {"starting_position": before}),
    }
    futures = {name: pool.submit(receive, "0", count, **options) for name, (count, options) in receives.items()}
    out |= {name: future.result() for name, future in futures.items()}

latest = []
thread = threading.Thread(target=lambda: latest.extend(receive("3", 1, starting_position="@latest")), daemon=True)
thread.start()
time.sleep(1.5)
with EventHubProducerClient.from_connection_string(connection_string) as producer:
    producer.send_event(EventData("after"), partition_id="3")
thread.join(20)
out["latest"] = latest

events, tracked = receive("0", counts[0], starting_position="-1", track_last_enqueued_event_properties=True)
out["tracked"] = tracked
out["stolen"] = steal()
key = next(field for field in connection_string.split(";") if field.startswith("SharedAccessKey="))
out["wrong_key"] = refused(connection_string.replace(key, "SharedAccessKey=wrong"))
out["wrong_hub"] = refused(connection_string.replace("EntityPath=", "EntityPath=no-"))
json.dump(out, sys.stdout)
