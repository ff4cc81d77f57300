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

    /// Of each block of the channel of which a peer got bytes twice: the peer and what it tells; and which
    /// peers could not tell everything.
    pub(super) fn doubled(&mut self, channel_id: &str) -> Vec<String> {
        let of_peer = |(peer, stream): &mut (String, EventStream)| match stream.lines_so_far() {
            Ok(lines) => lines.iter().filter_map(|line| told(peer, line, channel_id)).collect(),
            Err(error) => vec![format!("{peer}: {error}")],
        };
        self.streams.iter_mut().flat_map(of_peer).collect()
    }
}

/// What a line of a peer's events says about a body that came twice, or about events that are lost.
fn told(peer: &str, line: &str, channel_id: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
    if let Some(lost) = event["events_lost"].as_u64() {
        return Some(format!("{peer}: {lost} events are lost"));
    }
    let is_doubled = event["trace"]["duplicate_bytes"].as_u64().is_some_and(|bytes| bytes > 0);
    (event["channel"] == channel_id && is_doubled)
        .then(|| format!("{peer}: block {} {}", event["block"], event["trace"]))
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn a_block_with_bytes_that_came_twice_is_told_and_no_other() {
        let line = |channel: &str, bytes: u64| {
            format!(r#"data: {{"block":7,"channel":"{channel}","trace":{{"duplicate_bytes":{bytes}}}}}"#)
        };

        let found = told("peer0", &line("ab", 5), "ab").expect("it came twice");

        assert_eq!(found, r#"peer0: block 7 {"duplicate_bytes":5}"#);
        assert_eq!(told("peer0", &line("ab", 0), "ab"), None);
        assert_eq!(told("peer0", &line("cd", 5), "ab"), None);
        let lost = told("peer0", r#"data: {"events_lost":3}"#, "ab");
        assert_eq!(lost.as_deref(), Some("peer0: 3 events are lost"));
    }
}
