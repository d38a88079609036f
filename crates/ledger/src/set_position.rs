//! What an operator does to a partition, whoever holds it.

use tributary_batch::{Position, TimestampMs};

use crate::{Item, LeaseRequest, Ledger, PartitionKey, Policy, ProtocolError};

/// Attempts against a worker that writes at the same time. Each of its writes takes a batch, so the first or second wins.
const ATTEMPTS: u32 = 20;

/// Rule 7: sets the position, clears the plan and raises the epoch, in one write. Whoever holds the partition is displaced:
/// it may finish the send that it planned, and its next write is refused. The lease is free at once.
///
/// Reading goes on after `position`; with `None` it starts at the configured initial position. The position of the item as
/// it stands pins the partition there: an open plan is dropped and its range will be cut anew. What is read a second time
/// gets other batch ids than before and so other objects in the lake: to deliver a range again, replay it instead.
///
/// `incarnation` is that of the hub that the position was taken from: the next lease would drop the position as another
/// hub's if it did not stand beside it. `None` leaves the stored one.
///
/// `owner` must be unique to this call. Returns the item as it is now.
///
/// # Errors
/// [`ProtocolError::Displaced`] when workers took the partition again and again meanwhile; else what the backend says.
pub async fn set_position(
    ledger: &dyn Ledger,
    key: &PartitionKey,
    position: Option<Position>,
    incarnation: Option<TimestampMs>,
    owner: &str,
    now: TimestampMs,
    time_to_live: i64,
) -> Result<Item, ProtocolError> {
    let request = LeaseRequest { owner: owner.to_owned(), now, duration: 0, time_to_live, policy: Policy::Displace };
    let mut epoch = 0;
    for _ in 0..ATTEMPTS {
        let Some(before) = ledger.read(key).await? else {
            // Only a lease makes an item. Nobody can have planned anything yet.
            ledger.lease(key, &request).await?;
            continue;
        };
        epoch = before.epoch;
        let Some(leased) = request.apply(Some(before.clone())) else { continue };
        let incarnation = incarnation.or(leased.incarnation);
        let next = Item { position: position.clone(), plan: None, incarnation, ..leased };
        if ledger.write(key, &before.expected(), &next).await? {
            return Ok(next);
        }
        // The write may be ours all the same: a first attempt whose answer was lost.
        match ledger.read(key).await? {
            Some(stored) if stored == next => return Ok(stored),
            stored => epoch = stored.map_or(epoch, |item| item.epoch),
        }
    }
    Err(ProtocolError::Displaced { key: key.as_str().to_owned(), epoch })
}
