//! On servers that are not ours.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::primitives::Blob;
use tributary_batch::{BatchId, Offset, SequenceNumber};
use tributary_test_servers::{Asked, Fault, Proxy, Server};

use super::*;
use crate::{Lease, Outbox, OutboxError, Plan, Policy, Sent};

const NOW: i64 = 1_767_225_600_000;
const TABLE: &str = "ledger";

fn key() -> PartitionKey {
    PartitionKey::new("ns.example", "hub", "tributary", "0")
}

fn request(owner: &str, policy: Policy) -> LeaseRequest {
    LeaseRequest { owner: owner.to_owned(), now: NOW, duration: 60_000, time_to_live: 604_800_000, policy }
}

fn range(first: i64) -> Plan {
    Plan { first: SequenceNumber(first), last: SequenceNumber(first + 9), last_offset: Offset::new("o") }
}

/// Without the SDK's own attempts, whose waits are long, and with short ones of its own.
fn quick(proxy: &Proxy) -> DynamoLedger {
    let config = proxy.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let backoff = Backoff::new(4, Duration::from_millis(2), Duration::from_millis(8));
    DynamoLedger { backoff, ..DynamoLedger::new(&config, TABLE) }
}

async fn raw(server: &Server) -> Attributes {
    let client = Client::new(&server.config());
    let get = attributes::key(key().as_str())
        .into_iter()
        .fold(client.get_item().table_name(TABLE), |get, (name, value)| get.key(name, value));
    get.send().await.unwrap().item.unwrap()
}

/// Every promise on a table of its own.
async fn conforms(server: Server) {
    let tables = Mutex::new(Vec::new());
    for number in 0..24 {
        let name = format!("ledger-{number}");
        server.table(&name).await;
        tables.lock().unwrap().push(name);
    }
    crate::conformance::all(|| {
        let table = tables.lock().unwrap().pop().expect("a table for every promise");
        Arc::new(DynamoLedger::new(&server.config(), table))
    })
    .await;
    server.table("cursors").await;
    crate::conformance::cursors(|| Arc::new(DynamoLedger::new(&server.config(), "cursors"))).await;
}

#[tokio::test]
async fn conforms_on_moto() {
    let Some(server) = Server::moto() else { return };
    conforms(server).await;
}

#[tokio::test]
async fn conforms_on_ministack() {
    let Some(server) = Server::ministack() else { return };
    conforms(server).await;
}

struct Sink;

#[async_trait]
impl Outbox for Sink {
    async fn put(&self, _: &BatchId, _: &str) -> Result<(), OutboxError> {
        Ok(())
    }
}

async fn send(planned: crate::Planned) -> Sent {
    planned.send(&Sink, &BatchId::for_content(b"a"), "{}", NOW).await.map_err(|(_, error)| error).unwrap()
}

/// Leases, plans and commits `batches` batches; returns the lease.
async fn work(ledger: DynamoLedger, batches: i64) -> Lease {
    let taken = Lease::take(Arc::new(ledger), key(), &request("a", Policy::Displace)).await;
    let mut lease = taken.unwrap().unwrap();
    let mut open = Some(lease.plan(range(0), 0, NOW).await.unwrap());
    for batch in 1..=batches {
        let next = (batch < batches).then(|| (range(batch * 10), 0));
        open = lease.commit(send(open.unwrap()).await, next, NOW).await.unwrap();
    }
    lease
}

#[tokio::test]
async fn the_table_holds_the_contracts_attributes_and_the_chosen_one_for_the_time_to_live() {
    let Some(server) = Server::moto() else { return };
    server.table(TABLE).await;
    let ledger = DynamoLedger::new(&server.config(), TABLE);
    assert!(ledger.clone().ttl_attribute("owner").unwrap_err().to_string().contains("\"owner\""));
    let mut lease = work(ledger.clone(), 1).await;
    let names = |stored: &Attributes| -> Vec<String> {
        let mut names: Vec<String> = stored.keys().cloned().collect();
        names.sort();
        names
    };
    let committed =
        ["enqueuedTime", "epoch", "leaseExpiresAt", "lost", "offset", "owner", "pk", "sequenceNumber", "sk"];
    assert_eq!(names(&raw(&server).await), [&committed[..], &["ttl", "updatedAt"]].concat());
    lease.set_incarnation(7, 0, NOW).await.unwrap();
    drop(lease.plan(range(10), 0, NOW).await.unwrap());
    let stored = raw(&server).await;
    assert_eq!(stored["pk"].as_s().unwrap(), "ns.example#hub#tributary#0");
    assert_eq!(stored["sk"].as_s().unwrap(), "position");
    assert_eq!(stored["sequenceNumber"].as_n().unwrap(), "9");
    let plan = stored["plan"].as_m().unwrap();
    assert_eq!((plan["first"].as_n().unwrap().as_str(), plan["last"].as_n().unwrap().as_str()), ("10", "19"));
    assert_eq!(plan["lastOffset"].as_s().unwrap(), "o");
    assert_eq!(stored["ttl"].as_n().unwrap(), &((NOW + 604_800_000) / 1_000).to_string());

    // Under another name, and what the old one held is gone: a table must not drop an item by it.
    let renamed = ledger.ttl_attribute("expiresAt").unwrap();
    let item = renamed.read(&key()).await.unwrap_err();
    assert!(item.to_string().contains("broken (missing field `ttl`)"), "{item}");
    server.table("other").await;
    let renamed = DynamoLedger { table: "other".to_owned(), ..renamed };
    let leased = renamed.lease(&key(), &request("a", Policy::Displace)).await.unwrap();
    assert_eq!(renamed.read(&key()).await.unwrap(), leased);
    assert_eq!(renamed.list("ns").await.unwrap(), [(key().as_str().to_owned(), leased.unwrap())]);
}

#[tokio::test]
async fn a_batch_costs_one_write_and_a_lease_that_is_held_none() {
    let Some(server) = Server::moto() else { return };
    server.table(TABLE).await;
    let proxy = Proxy::start(&server, |_| None);
    work(quick(&proxy), 10).await;
    // The lease, the first plan, and a commit for each batch.
    assert_eq!(proxy.counts(), [("GetItem".to_owned(), 1), ("PutItem".to_owned(), 12)].into());
    assert!(quick(&proxy).lease(&key(), &request("b", Policy::WhenFree)).await.unwrap().is_none());
    assert_eq!(proxy.counts()["PutItem"], 12);
}

/// Between the read and the write of a lease its holder refreshes it: nothing changes but times.
#[tokio::test]
async fn a_refresh_in_between_keeps_the_lease() {
    let Some(server) = Server::moto() else { return };
    server.table(TABLE).await;
    let holder = DynamoLedger::new(&server.config(), TABLE);
    let taken = Lease::take(Arc::new(holder), key(), &request("holder", Policy::Displace)).await;
    let lease = Mutex::new(taken.unwrap());
    let runtime = tokio::runtime::Handle::current();
    let proxy = Proxy::start(&server, move |asked| {
        let holds = (asked.operation == "PutItem").then(|| lease.lock().unwrap().take()).flatten();
        if let Some(mut lease) = holds {
            runtime.block_on(lease.refresh(NOW + 60_000)).unwrap();
        }
        None
    });
    // As it is read, the lease is over.
    let late = LeaseRequest { now: NOW + 60_000, ..request("late", Policy::WhenFree) };
    assert!(quick(&proxy).lease(&key(), &late).await.unwrap().is_none(), "the refreshed lease was taken");
    assert_eq!(proxy.counts(), [("GetItem".to_owned(), 1), ("PutItem".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_recognised() {
    let Some(server) = Server::moto() else { return };
    server.table(TABLE).await;
    let puts = AtomicU32::new(0);
    // Every second put: its answer is lost, and the SDK sends it again.
    let proxy = Proxy::start(&server, move |asked| {
        let loses = asked.operation == "PutItem" && puts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        loses.then_some(Fault::LoseAnswer)
    });
    let lease = work(DynamoLedger::new(&proxy.config(), TABLE), 2).await;
    assert_eq!(lease.item().epoch, NOW, "the lease was taken once");
    assert_eq!(DynamoLedger::new(&server.config(), TABLE).read(&key()).await.unwrap().as_ref(), Some(lease.item()));
    assert_eq!(proxy.counts()["PutItem"], 8, "each of the four writes took two");
}

fn throttled(_: &Asked) -> Fault {
    Fault::error(400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "slow down")
}

#[tokio::test]
async fn throttling_is_outwaited_or_said() {
    let Some(server) = Server::moto() else { return };
    server.table(TABLE).await;
    let (asked, forever) = (AtomicU32::new(0), Arc::new(AtomicBool::new(false)));
    let always = Arc::clone(&forever);
    // Three of four requests.
    let proxy = Proxy::start(&server, move |request| {
        let throttle = asked.fetch_add(1, Ordering::SeqCst) % 4 != 3 || always.load(Ordering::SeqCst);
        throttle.then(|| throttled(request))
    });
    let lease = work(quick(&proxy), 3).await;
    let ledger = quick(&proxy);
    assert_eq!(ledger.read(&key()).await.unwrap().as_ref(), Some(lease.item()));
    assert_eq!(ledger.list("").await.unwrap().len(), 1);
    forever.store(true, Ordering::SeqCst);
    let before = proxy.counts()["GetItem"];
    let error = ledger.read(&key()).await.unwrap_err().to_string();
    assert_eq!(proxy.counts()["GetItem"] - before, 5, "four waits, and an end");
    for part in ["ledger read of ns.example#hub#tributary#0", "table ledger", GET, "ThroughputExceeded", "capacity"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_do() {
    let Some(server) = Server::moto() else { return };
    let denied = Proxy::start(&server, |_| {
        Some(Fault::error(400, "com.amazon.coral.service#AccessDeniedException", "not authorized to perform: x"))
    });
    let ledger = quick(&denied);
    for error in [
        ledger.read(&key()).await.unwrap_err(),
        ledger.lease(&key(), &request("a", Policy::Displace)).await.unwrap_err(),
        ledger.write(&key(), &Item::empty().expected(), &Item::empty()).await.unwrap_err(),
        ledger.list("ns").await.unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("dynamodb:") && error.contains("grant it to the role"), "{error}");
    }
    assert_eq!(denied.counts().values().sum::<u64>(), 4, "a denial is not tried again");
    let ledger = DynamoLedger::new(&server.config(), "nowhere").ttl_attribute("expiresAt").unwrap();
    let error = ledger.read(&key()).await.unwrap_err().to_string();
    for part in ["nowhere", "create the table", "partition key pk", "sort key sk", "time to live on expiresAt"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// A page of a scan ends at 1 MB.
#[tokio::test]
async fn a_list_goes_over_pages_and_passes_other_items_over() {
    let Some(server) = Server::moto() else { return };
    server.table(TABLE).await;
    let proxy = Proxy::start(&server, |_| None);
    let ledger = DynamoLedger::new(&proxy.config(), TABLE);
    let client = Client::new(&server.config());
    for number in 0..6 {
        let name = |text: String| AttributeValue::S(text);
        let put = client.put_item().table_name(TABLE).item(PK, name(format!("account#container#{number}")));
        let put =
            put.item(SK, name("blocks".to_owned())).item("filler", AttributeValue::B(Blob::new(vec![0; 350_000])));
        put.send().await.unwrap();
        let partition = PartitionKey::new("ns", "hub", "group", &number.to_string());
        ledger.lease(&partition, &request("a", Policy::Displace)).await.unwrap();
    }
    let names = |items: Vec<(String, Item)>| items.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let expected: Vec<String> = (0..6).map(|number| format!("ns#hub#group#{number}")).collect();
    assert_eq!(names(ledger.list("").await.unwrap()), expected);
    assert!(proxy.counts()["Scan"] > 1, "{:?}", proxy.counts());
    assert_eq!(names(ledger.list("ns#hub#group#3").await.unwrap()), ["ns#hub#group#3"]);
    assert_eq!(names(ledger.list("account").await.unwrap()), [""; 0]);
}
