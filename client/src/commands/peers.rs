//! `ledgercast peers`: a peer's sessions and their traffic by lane.

use super::output::{bytes, duration, hex, short};
use super::session::Session;
use super::{Failure, Globals, Output};
use ledgercast_protocol::wire::proto::{LaneTraffic, PeerStatus, PeersRequest};
use serde_json::{Value, json};

pub(super) async fn run(globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let peers = connection.answer(connection.admin().peers(PeersRequest {})).await?.peers;
    let values: Vec<Value> = peers.iter().map(describe).collect();
    let rows: Vec<Vec<String>> = peers.iter().map(row).collect();
    let header = [
        "name",
        "member",
        "org",
        "address",
        "dialed",
        "open",
        "control in/out",
        "data in/out",
        "pull in/out",
    ];
    output.table(&values, &header, &rows)
}

fn row(peer: &PeerStatus) -> Vec<String> {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let lane = |traffic: Option<&LaneTraffic>| {
        traffic.map_or_else(
            || "-".to_owned(),
            |traffic| format!("{} / {}", bytes(traffic.bytes_in), bytes(traffic.bytes_out)),
        )
    };
    vec![
        or_dash(&peer.name),
        short(&peer.member),
        or_dash(&peer.org_name),
        peer.address.clone(),
        if peer.is_dialed { "yes".to_owned() } else { "no".to_owned() },
        duration(peer.open_ms),
        lane(peer.control.as_ref()),
        lane(peer.data.as_ref()),
        lane(peer.pull.as_ref()),
    ]
}

fn describe(peer: &PeerStatus) -> Value {
    let lane = |traffic: Option<&LaneTraffic>| {
        let traffic = traffic.copied().unwrap_or_default();
        json!({ "bytes_in": traffic.bytes_in, "bytes_out": traffic.bytes_out })
    };
    json!({
        "session": peer.session,
        "member": hex(&peer.member),
        "org": hex(&peer.org),
        "org_name": peer.org_name,
        "name": peer.name,
        "address": peer.address,
        "is_dialed": peer.is_dialed,
        "open_ms": peer.open_ms,
        "control": lane(peer.control.as_ref()),
        "data": lane(peer.data.as_ref()),
        "pull": lane(peer.pull.as_ref()),
    })
}
