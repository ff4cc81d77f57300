//! What each peer tells of the way of each block, from the start of the load: read when a claim on it fails.

use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::events::EventStream;
use serde_json::Value;

/// The events of every peer.
pub(super) struct Traces {
    streams: Vec<(String, EventStream)>,
}

impl Traces {
    pub(super) fn follow(cluster: &Cluster) -> Result<Self, String> {
        let peers = cluster.summary().peers.iter();
        let streams = peers.map(|peer| Ok((peer.name.clone(), EventStream::open(&peer.operations)?)));
        Ok(Self { streams: streams.collect::<Result<_, String>>()? })
    }

    /// Of each block of the channel of which a peer got bytes twice: the peer and what it tells.
    pub(super) fn doubled(&mut self, channel: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (peer, stream) in &mut self.streams {
            let lines = match stream.lines_so_far() {
                Ok(lines) => lines,
                Err(error) => vec![format!("data: {}", Value::String(error))],
            };
            let told = lines.iter().filter_map(|line| line.strip_prefix("data: "));
            let told = told.filter_map(|data| serde_json::from_str::<Value>(data).ok());
            let doubled = told.filter(|event| {
                let bytes = event["trace"]["duplicate_bytes"].as_u64().unwrap_or(0);
                event["channel"] == channel && bytes > 0
            });
            found.extend(doubled.map(|event| format!("{peer}: block {} {}", event["block"], event["trace"])));
        }
        found
    }
}
