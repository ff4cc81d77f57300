//! Prints what membership costs and how fast it judges, as `cargo xtask membership` does, without building
//! the node: `cargo run --locked -p ledgercast-simulator --example membership -- 16 32`.

use ledgercast_simulator::membership_figures;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::var("SEED").ok().map_or(Ok(1), |seed| seed.parse())?;
    for peers in std::env::args().skip(1) {
        let started = Instant::now();
        let figures = membership_figures::measure(seed, peers.parse()?)?;
        println!("{figures:#?}\nreal time {:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}
