//! The list of metrics.

/// What a metric counts in, by CloudWatch's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// CloudWatch's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Seconds => "Seconds",
        }
    }
}

macro_rules! metrics {
    ($($name:ident: $unit:ident, $gauge:literal, $label:expr, $about:literal;)*) => {
        /// A metric. The list is closed: what is not here is not measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = $about] $name,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it counts in.
            pub fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)* }
            }

            /// Whether it is a level, of which the largest counts, and not a sum.
            pub fn is_gauge(self) -> bool {
                match self { $(Self::$name => $gauge,)* }
            }

            /// The name of its label, if it is counted by one.
            pub fn label(self) -> Option<&'static str> {
                match self { $(Self::$name => $label,)* }
            }

            /// What it says, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

metrics! {
    EventsReceived: Count, false, None, "Events read from the source.";
    EventsForwarded: Count, false, None, "Events whose batch is durably in the queue.";
    BatchesSent: Count, false, None, "Batches put into the queue.";
    PartitionLag: Count, true, Some("Partition"), "Events between the committed position and the newest event when a run ended.";
    OldestEventAgeSeconds: Seconds, true, None, "Age of the oldest event of a run when it was read.";
    EventsLost: Count, false, None, "Events that the source dropped before they could be read.";
    RecordsMapped: Count, false, Some("Kind"), "Records that became an OCSF event.";
    RecordsQuarantined: Count, false, Some("Reason"), "Records that went to quarantine.";
    RecordsGeneral: Count, false, Some("Category"), "Records that only the general map took.";
    RecordsRouted: Count, false, Some("Rule"), "Records handed on as a notification instead of being mapped.";
    RecordsSkipped: Count, false, Some("Rule"), "Records left out because they are handshakes of the transport.";
    ObjectsWritten: Count, false, None, "Objects published to the lake.";
    BytesWritten: Bytes, false, None, "Bytes published to the lake.";
    FindingsImported: Count, false, None, "Findings that the security hub accepted.";
    TrailEventsDelivered: Count, false, None, "Events that CloudTrail Lake accepted.";
    TrailEventsRefused: Count, false, Some("Code"), "Events that CloudTrail Lake refused for good: they are in the lake, and not there.";
    DeliveryErrors: Count, false, None, "Deliveries that failed and are tried again.";
    AccessDenied: Count, false, None, "Calls that a service refused for want of permission.";
    FlowTuples: Count, false, None, "Flow log tuples written.";
    Redactions: Count, false, None, "Secrets replaced in records.";
    MappingsRefused: Count, false, None, "Changed mapping files that were refused: the built-in set is in force instead.";
    SecretAgeSeconds: Seconds, true, None, "Age of the secret that the source's credentials are in.";
}
