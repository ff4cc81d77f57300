//! The services over real TLS on the loopback, with orgs that are real and a node that is faked; `peer` has
//! real ones.

mod admin;
mod broadcast;
mod deliver;
mod entitlement;
mod fake;
mod handshake;
mod peer;
mod world;
