//! Attaching a partition's link, with all retries, as a task that can be waited for and abandoned.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tributary_pipeline::StartPosition;

use crate::connection::{Connector, Live, TokenNumber};
use crate::failure::Failure;
use crate::link::{LinkSpec, PartitionLink};

/// What a reader needs to attach, now and after a loss.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) connector: Arc<Connector>,
    pub(crate) spec: LinkSpec,
    pub(crate) partition: String,
    pub(crate) context: String,
}

/// A link that stands, and which hub it stands on.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) link: PartitionLink,
    pub(crate) incarnation: i64,
}

impl Attachment {
    /// Attaches, trying again within the limits until `keep` closes because nobody wants the link any more.
    async fn run(
        self,
        start: StartPosition,
        known: Option<i64>,
        pause: Duration,
        refused: Option<TokenNumber>,
        keep: oneshot::Receiver<()>,
    ) -> Result<Attached, Failure> {
        tokio::time::sleep(pause).await;
        if refused.is_some() {
            // Without another, the next attempt says why.
            self.connector.settings().replace_token(refused).await;
        }
        let (spec, start) = (&self.spec, &start);
        let attempt = |live: Arc<Live>| async move {
            let mut link = PartitionLink::attach(&live, spec, start).await?;
            let found = live.hub_properties().await;
            let failure = match (link.check(), found) {
                // Before anything else: the service refuses a position beyond the new hub's last event, as an argument
                // error that says nothing of its cause.
                (_, Ok(hub)) if known.is_some_and(|known| known != hub.created_at) => Failure::rebuilt(),
                (Err(failure), _) | (Ok(()), Err(failure)) => failure,
                (Ok(()), Ok(hub)) => return Ok(Attached { link, incarnation: hub.created_at }),
            };
            link.close().await;
            Err(failure)
        };
        self.connector.retrying(Some(keep), attempt).await
    }

    /// Starts attaching in a task, after a pause. `known` is the hub's creation time, once that is known; `refused` the
    /// token of the link before, if the service ended it for that.
    pub(crate) fn start(
        &self,
        start: StartPosition,
        known: Option<i64>,
        pause: Duration,
        refused: Option<TokenNumber>,
    ) -> Attaching {
        let (keep, kept) = oneshot::channel();
        Attaching { task: tokio::spawn(self.clone().run(start, known, pause, refused, kept)), _keep: keep }
    }
}

/// A link that is being attached.
#[derive(Debug)]
pub(crate) struct Attaching {
    task: JoinHandle<Result<Attached, Failure>>,
    _keep: oneshot::Sender<()>,
}

impl Attaching {
    /// Waits for the link; cancelling loses nothing.
    pub(crate) async fn link(&mut self) -> Result<Attached, Failure> {
        match (&mut self.task).await {
            Ok(result) => result,
            // A task of the library that dies of a broken peer is like a connection that is lost.
            Err(_) => Err(Failure::transient("attaching was interrupted")),
        }
    }
}
