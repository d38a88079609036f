//! Serves one hub until it is stopped, and prints its connection string: `emulate [HUB] [PARTITIONS]`.

use tributary_azure_eventhub_emulator::{Emulator, HubConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let hub = arguments.next().unwrap_or_else(|| "hub".to_owned());
    let partitions = arguments.next().map_or(Ok(4), |count| count.parse())?;
    let config = HubConfig::new(&hub, partitions).consumer_group("tributary");
    let emulator = Emulator::builder().hub(config).start().await?;
    println!("{}", emulator.connection_string(&hub));
    tokio::signal::ctrl_c().await?;
    emulator.shutdown().await;
    Ok(())
}
