//! A blob of flow logs on standard output: `cargo run -p tributary-azure-flowlogs --example generate -- 450000 7 > PT1H.json`
//! (tuples, seed).

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap_or(0));
    let (tuples, seed) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(7));
    let mut out = std::io::stdout().lock();
    for block in tributary_azure_flowlogs::generate::blocks(seed, tuples) {
        out.write_all(block.as_bytes())?;
    }
    out.flush()
}
