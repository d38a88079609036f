//! `bootstrap`: what Lambda starts. `_HANDLER` says which function it is.

use std::process::ExitCode;

use tributary_functions::{Environment, Failed, Handler, Start, serve};
use tributary_telemetry::logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let start = Start { environment: Environment::of_process() };
    let level = start.environment.text("LOGGING_LEVEL").unwrap_or("INFO");
    let logs = logging::start(level, logging::Format::Json);
    match logs.map_err(|error| Failed(format!("LOGGING_LEVEL: {error}"))).and_then(|()| run(&start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // Where logging could not start there is still standard error.
            eprintln!("{}", serde_json::json!({"level": "ERROR", "message": format!("cannot start: {failed}")}));
            ExitCode::FAILURE
        }
    }
}

fn run(start: &Start) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        // The runtime's library takes them for granted.
        for name in [
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_VERSION",
        ] {
            start.environment.required(name, "what Lambda sets; to run the jobs elsewhere there is `tributary run`")?;
        }
        let name = start.environment.required("_HANDLER", "the name of a handler, such as event-transformer")?;
        let handler = Handler::named(name)?;
        let module = start.module()?;
        let job = handler.start(start).await?;
        serve(job, module).await.map_err(|error| Failed(format!("lambda's runtime api: {error}")))
    })
}
