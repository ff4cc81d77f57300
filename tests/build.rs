//! Generates the server of `Deliver` for the liars among the orderers; its messages are those of
//! `ledgercast-protocol`.

use std::error::Error;

const ROOT: &str = "../protocol/proto";
const FILE: &str = "../protocol/proto/ledgercast/v1/api.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let descriptors = protox::compile([FILE], [ROOT])?;
    tonic_prost_build::configure()
        .extern_path(".ledgercast.v1", "::ledgercast_protocol::wire::proto")
        .build_client(false)
        .compile_fds(descriptors)?;
    Ok(())
}
