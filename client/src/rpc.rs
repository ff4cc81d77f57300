//! The generated callers of the public gRPC services; shapes only, nothing is checked here.
#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/ledgercast.v1.rs"));
