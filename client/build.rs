//! Generates the callers of the public gRPC services, and, for tests only, their servers; the messages are
//! those of `ledgercast-protocol`.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

const ROOT: &str = "../protocol/proto";
const FILE: &str = "../protocol/proto/ledgercast/v1/api.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let servers = out.join("servers");
    fs::create_dir_all(&servers)?;
    let descriptors = protox::compile([FILE], [ROOT])?;
    let generate =
        || tonic_prost_build::configure().extern_path(".ledgercast.v1", "::ledgercast_protocol::wire::proto");
    generate().build_server(false).out_dir(out).compile_fds(descriptors.clone())?;
    generate().build_client(false).out_dir(servers).compile_fds(descriptors)?;
    Ok(())
}
