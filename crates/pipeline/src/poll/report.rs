//! What a run did.

/// How a partition's turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionState {
    /// Everything that was there is committed, or the time was used up.
    Done,
    /// Another worker holds the lease.
    Held,
    /// Another worker took the partition: it goes on from the last commit.
    Displaced,
    /// The turn failed; the next run goes on from the last commit.
    Failed {
        /// Why.
        detail: String,
        /// Whether a person must act.
        fatal: bool,
    },
}

/// One partition's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    /// Which.
    pub partition: String,
    /// How it ended.
    pub state: PartitionState,
    /// Events committed.
    pub events: u64,
    /// Batches committed.
    pub batches: u64,
    /// Events that the hub had dropped before they could be read.
    pub lost: u64,
    /// Sequence number of the last committed event.
    pub position: Option<i64>,
    /// Events between that and the last one that was there at the start; `None` when the hub was not asked.
    pub lag: Option<u64>,
}

/// A run over all partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollReport {
    /// By partition.
    pub partitions: Vec<PartitionReport>,
}

impl PollReport {
    /// Events committed.
    pub fn events(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.events).sum()
    }

    /// Batches committed.
    pub fn batches(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.batches).sum()
    }

    /// Events lost at the source.
    pub fn lost(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.lost).sum()
    }

    /// The largest lag of all partitions.
    pub fn lag(&self) -> u64 {
        self.partitions.iter().filter_map(|partition| partition.lag).max().unwrap_or(0)
    }

    /// The partitions whose turn failed, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.partitions.iter().filter_map(|partition| match &partition.state {
            PartitionState::Failed { detail, fatal } => Some((partition.partition.as_str(), detail.as_str(), *fatal)),
            _ => None,
        })
    }
}
