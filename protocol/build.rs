//! Compiles the public `.proto` files with protox, so that no `protoc` is needed.

use std::error::Error;

const FILES: [&str; 3] = [
    "proto/ledgercast/v1/ledger.proto",
    "proto/ledgercast/v1/gossip.proto",
    // Messages only: the services of this file are generated where they are served and called.
    "proto/ledgercast/v1/api.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
