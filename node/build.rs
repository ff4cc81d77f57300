//! Generates servers and callers of the public gRPC services; their messages are those of
//! `ledgercast-protocol`.

use std::error::Error;

const ROOT: &str = "../protocol/proto";
const FILE: &str = "../protocol/proto/ledgercast/v1/api.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let descriptors = protox::compile([FILE], [ROOT])?;
    tonic_prost_build::configure()
        .extern_path(".ledgercast.v1", "::ledgercast_protocol::wire::proto")
        .compile_fds(descriptors)?;
    Ok(())
}
