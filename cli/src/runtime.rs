//! The asynchronous side of commands that talk to a hub.

use std::future::Future;
use std::process::ExitCode;

use tributary_pipeline::Stop;

use crate::failure::Failure;

/// Threads for what blocks: mapping, packing, SQLite. Each keeps memory of the largest batch it worked on; with the
/// library's default, work wanders over many threads and their heaps add up (`docs/PERFORMANCE.md`).
const BLOCKING: usize = 3;

/// Runs a command to its end on a runtime of its own.
pub(crate) fn block_on(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Backend(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // What still blocks (reading standard input) must not hold the process.
    runtime.shutdown_background();
    result
}

/// A wish to stop that Ctrl-C and SIGTERM express from now on: what is begun is ended in order.
pub(crate) fn stop_on_signal() -> Result<Stop, Failure> {
    let (ended, stop) = (end_signal()?, Stop::new());
    let asked = stop.clone();
    tokio::spawn(async move {
        ended.await;
        tracing::info!("ending in order");
        asked.set();
    });
    Ok(stop)
}

/// Listens for Ctrl-C and, where there is one, SIGTERM from now on; the future ends with the first of them.
pub(crate) fn end_signal() -> Result<impl Future<Output = ()>, Failure> {
    let fail = |error| Failure::Backend(format!("cannot listen for signals: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let _ = fail;
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
