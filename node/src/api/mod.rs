//! What a node offers to everybody but peers: gRPC for applications and admins, HTTP for operators.

pub mod grpc;
pub mod operations;
