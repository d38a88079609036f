use super::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Packer};
use crate::{Body, Event, Offset, SequenceNumber};

/// An event of this size as a packer counts it.
fn event(number: i64, size: usize) -> Event {
    let mut event = Event {
        sequence_number: SequenceNumber(number),
        offset: Offset::new(""),
        enqueued_time: 0,
        partition_key: None,
        properties: Vec::new(),
        body: Body::Text(String::new()),
    };
    event.body = Body::Text("x".repeat(size - event.size()));
    event
}

/// The sequence numbers of each batch of events of these sizes.
fn cut(mut packer: Packer, sizes: impl IntoIterator<Item = usize>) -> Vec<Vec<i64>> {
    let events = (0..).zip(sizes).map(|(number, size)| event(number, size));
    let mut batches: Vec<Vec<Event>> = events.filter_map(|event| packer.push(event)).collect();
    batches.extend(packer.take());
    assert!(packer.is_empty());
    batches.iter().map(|batch| batch.iter().map(|event| event.sequence_number.0).collect()).collect()
}

#[test]
fn either_limit_cuts_and_order_is_kept() {
    let packer = || Packer::with_limits(3, 1_000);
    assert_eq!(cut(packer(), [100; 7]), [vec![0, 1, 2], vec![3, 4, 5], vec![6]], "by events");
    assert_eq!(cut(packer(), [500, 500, 100]), [vec![0, 1], vec![2]], "by bytes; exactly full is not over");
    assert_eq!(cut(packer(), [500, 501, 100]), [vec![0], vec![1, 2]], "by bytes");
    assert_eq!(cut(packer(), []), Vec::<Vec<i64>>::new());
}

#[test]
fn an_event_over_the_limit_is_a_batch_of_its_own() {
    assert_eq!(cut(Packer::with_limits(3, 1_000), [100, 1_001, 100, 100]), [vec![0], vec![1], vec![2, 3]]);
    assert_eq!(cut(Packer::with_limits(3, 1_000), [5_000, 5_000]), [vec![0], vec![1]]);
    assert_eq!(cut(Packer::with_limits(0, 0), [100; 3]), [vec![0], vec![1], vec![2]]);
}

#[test]
fn limits_outlast_a_batch() {
    let mut packer = Packer::with_limits(2, 1_000);
    for number in 0..2 {
        assert_eq!(packer.push(event(number, 100)), None);
    }
    assert_eq!(packer.take().map(|events| events.len()), Some(2));
    assert_eq!(packer.take(), None);
    for number in 2..4 {
        assert_eq!(packer.push(event(number, 100)), None);
    }
    assert_eq!(packer.push(event(4, 100)).map(|events| events.len()), Some(2));
    assert_eq!(packer.len(), 1);
}

#[test]
fn the_default_limits_are_the_contracts() {
    let beyond = Packer::with_limits(usize::MAX, usize::MAX);
    assert_eq!(cut(beyond, [100; 2_001]).len(), 2, "no packer goes beyond them");
    assert_eq!((MAX_BATCH_EVENTS, MAX_BATCH_BYTES), (2_000, 8_388_608));
    let lengths = |sizes: Vec<usize>| cut(Packer::default(), sizes).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(vec![100; 4_001]), [2_000, 2_000, 1]);
    let half = 4 * 1_024 * 1_024;
    assert_eq!(lengths(vec![half, half, half + 1, half, 100]), [2, 1, 2]);
    assert_eq!(lengths(vec![100, 2 * half + 1, 100]), [1, 1, 1]);
}
