// Microsoft's own Event Hubs client for JavaScript against a namespace: what it lists, sends and receives, as JSON.
//
// usage: node eventhub_client.mjs CONNECTION_STRING CONSUMER_GROUP
//
// The hub must be empty and have four partitions.

import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition, latestEventPosition } from "@azure/event-hubs";

const [connectionString, group] = process.argv.slice(2);
const out = {};

const describe = (event) => ({
  sequence: event.sequenceNumber,
  offset: event.offset,
  enqueued: event.enqueuedTimeUtc.getTime(),
  key: event.partitionKey ?? null,
  body: event.body,
  properties: event.properties ?? {},
});

/** Receives `count` events of one partition from a position. */
async function receive(partition, count, startPosition, options = {}) {
  const client = new EventHubConsumerClient(group, connectionString);
  const events = [];
  const tracked = [];
  let subscription;
  try {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`partition ${partition}: ${events.length} of ${count}`)), 15_000);
      const done = (settle, value) => { clearTimeout(timer); settle(value); };
      subscription = client.subscribe(partition, {
        async processEvents(batch, context) {
          events.push(...batch.map(describe));
          const last = context.lastEnqueuedEventProperties;
          if (options.trackLastEnqueuedEventProperties && batch.length > 0) {
            tracked.push({ sequence: last.sequenceNumber, offset: last.offset, enqueued: last.enqueuedOn.getTime() });
          }
          if (events.length >= count) done(resolve);
        },
        async processError(error) { done(reject, error); },
      }, { startPosition, maxWaitTimeInSeconds: 1, ...options });
      options.onSubscribed?.();
    });
  } finally {
    await subscription?.close();
    await client.close();
  }
  return tracked.length > 0 ? { events, tracked } : events;
}

async function properties() {
  const client = new EventHubConsumerClient(group, connectionString);
  const hub = await client.getEventHubProperties();
  const partitions = await Promise.all(hub.partitionIds.map((id) => client.getPartitionProperties(id)));
  await client.close();
  return {
    hub: { name: hub.name, created: hub.createdOn.getTime(), ids: hub.partitionIds },
    partitions: partitions.map((p) => ({
      id: p.partitionId, begin: p.beginningSequenceNumber, last: p.lastEnqueuedSequenceNumber,
      offset: String(p.lastEnqueuedOffset), enqueued: p.lastEnqueuedOnUtc.getTime(), empty: p.isEmpty,
    })),
  };
}

async function send() {
  const producer = new EventHubProducerClient(connectionString);
  let batch = await producer.createBatch({ partitionId: "0" });
  for (let n = 0; n < 20; n++) batch.tryAdd({ body: `zero ${n}`, properties: { n, name: `event ${n}` } });
  await producer.sendBatch(batch);
  batch = await producer.createBatch({ partitionKey: "vm-1" });
  for (let n = 0; n < 5; n++) batch.tryAdd({ body: `keyed ${n}` });
  await producer.sendBatch(batch);
  for (let n = 0; n < 8; n++) await producer.sendBatch([{ body: `round ${n}` }]);
  await producer.sendBatch([{ body: "single" }], { partitionId: "1" });
  await producer.sendBatch([{ body: "keyed single" }], { partitionKey: "vm-1" });
  await producer.sendBatch([{ body: "x".repeat(300_000) }], { partitionId: "2" });
  await producer.close();
}

/** A reader with a higher owner level displaces the one that is there. */
async function steal() {
  const first = new EventHubConsumerClient(group, connectionString, { retryOptions: { maxRetries: 0 } });
  const second = new EventHubConsumerClient(group, connectionString);
  const subscribe = (client, ownerLevel, processEvents, processError) =>
    client.subscribe("0", { processEvents, processError },
      { startPosition: earliestEventPosition, ownerLevel, maxWaitTimeInSeconds: 1 });
  const subscriptions = [];
  const code = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not stolen")), 15_000);
    subscriptions.push(subscribe(first, 1, async () => {
      if (subscriptions.length === 1) subscriptions.push(subscribe(second, 2, async () => {}, async () => {}));
    }, async (error) => { clearTimeout(timer); resolve(error.code); }));
  });
  for (const subscription of subscriptions) await subscription.close();
  await first.close();
  await second.close();
  return code;
}

/** What a client is told that has a wrong key, or names a hub that does not exist. */
async function refused(connectionString) {
  const client = new EventHubConsumerClient(group, connectionString, { retryOptions: { maxRetries: 0 } });
  try {
    await client.getPartitionIds();
    return null;
  } catch (error) {
    return error.code ?? error.name;
  } finally {
    await client.close();
  }
}

out.empty = await properties();
await send();
out.full = await properties();
const counts = out.full.partitions.map((p) => p.last + 1);
out.earliest = await Promise.all(counts.map((count, id) => receive(String(id), count, earliestEventPosition)));
const zero = out.earliest[0];
const wave = async (receives) => {
  for (const [name, events] of await Promise.all(Object.entries(receives).map(async ([n, p]) => [n, await p]))) out[name] = events;
};
// Four at a time: a partition serves at most five readers of a group.
await wave({
  sequence_exclusive: receive("0", counts[0] - 8, { sequenceNumber: 7 }),
  sequence_inclusive: receive("0", counts[0] - 7, { sequenceNumber: 7, isInclusive: true }),
  offset_exclusive: receive("0", counts[0] - 12, { offset: zero[11].offset }),
  offset_inclusive: receive("0", counts[0] - 11, { offset: zero[11].offset, isInclusive: true }),
});
const tracking = { trackLastEnqueuedEventProperties: true };
await wave({
  time: receive("0", counts[0], { enqueuedOn: new Date(zero[0].enqueued - 1) }),
  tracked: receive("0", counts[0], earliestEventPosition, tracking).then(({ tracked }) => tracked),
  latest: receive("3", 1, latestEventPosition, {
    onSubscribed: () => setTimeout(async () => {
      const producer = new EventHubProducerClient(connectionString);
      await producer.sendBatch([{ body: "after" }], { partitionId: "3" });
      await producer.close();
    }, 1500),
  }),
});
out.stolen = await steal();
out.wrong_key = await refused(connectionString.replace(/SharedAccessKey=[^;]*/, "SharedAccessKey=wrong"));
out.wrong_hub = await refused(connectionString.replace("EntityPath=", "EntityPath=no-"));
process.stdout.write(JSON.stringify(out), () => process.exit(0));
