//! What changes in a channel's config: flags and files in, the next config and the difference out.

use super::{Exit, Failure};
use crate::channel_file;
use clap::Args;
use ledgercast_crypto::msp;
use ledgercast_protocol::channel::{ChannelConfig, ChannelLimits};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Changes of the config in force; at least one.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Edits {
    /// Take orgs, orderers, quorum and limits from this file (configs/channel.toml), before other changes
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Add an org, reader and writer, with the public files in this folder
    #[arg(long, value_name = "NAME=DIR")]
    add_org: Vec<String>,
    /// Remove an org: it gets nothing after the config block
    #[arg(long, value_name = "NAME")]
    remove_org: Vec<String>,
    /// Give an org an anchor peer besides those that it has
    #[arg(long, value_name = "ORG=HOST:PORT")]
    anchor: Vec<String>,
    /// Take an org's anchor peers away, before others are given
    #[arg(long, value_name = "ORG")]
    clear_anchors: Vec<String>,
    /// Replace the key of the orderer at an endpoint by that of a certificate
    #[arg(long, value_name = "HOST:PORT=CERTIFICATE")]
    orderer_key: Vec<String>,
    /// Set a limit, such as limits.batch_envelopes_max=100; times in milliseconds
    #[arg(long, value_name = "limits.KEY=NUMBER")]
    set: Vec<String>,
}

impl Edits {
    /// The config after the one in force.
    pub(super) fn apply(&self, in_force: &ChannelConfig) -> Result<proto::ChannelConfig, Failure> {
        let mut config = in_force.to_wire();
        if let Some(file) = &self.from {
            let read = channel_file::read_config(file)?;
            config = proto::ChannelConfig { number: config.number, ..read };
        }
        config.number += 1;
        config.previous_hash = bytes::Bytes::copy_from_slice(in_force.hash().as_bytes());
        for text in &self.remove_org {
            let count = config.orgs.len();
            config.orgs.retain(|org| org.name != *text);
            if config.orgs.len() == count {
                return Err(no_such("org", text));
            }
        }
        for text in &self.add_org {
            let (name, folder) = pair(text)?;
            config.orgs.push(channel_file::org_config(name, Path::new(folder))?);
        }
        for name in &self.clear_anchors {
            org_mut(&mut config, name)?.anchors.clear();
        }
        for text in &self.anchor {
            let (name, endpoint) = pair(text)?;
            org_mut(&mut config, name)?.anchors.push(endpoint.to_owned());
        }
        for text in &self.orderer_key {
            let (endpoint, file) = pair(text)?;
            let certificate = msp::load_certificate(Path::new(file))?;
            let orderer = config.orderers.iter_mut().find(|it| it.endpoint == endpoint);
            let orderer = orderer.ok_or_else(|| no_such("orderer", endpoint))?;
            orderer.key = bytes::Bytes::copy_from_slice(certificate.public_key().as_bytes());
        }
        for text in &self.set {
            set(&mut config, text)?;
        }
        Ok(config)
    }
}

fn pair(text: &str) -> Result<(&str, &str), Failure> {
    let wrong = || Failure::new(Exit::Usage, format!("{text:?} is not of the form NAME=VALUE"));
    text.split_once('=').ok_or_else(wrong)
}

fn no_such(what: &str, name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the config in force names no {what} {name:?}"))
        .cure("`ledgercast channel inspect GENESIS --current` shows what it names")
}

fn org_mut<'a>(
    config: &'a mut proto::ChannelConfig,
    name: &str,
) -> Result<&'a mut proto::OrgConfig, Failure> {
    config.orgs.iter_mut().find(|org| org.name == name).ok_or_else(|| no_such("org", name))
}

fn set(config: &mut proto::ChannelConfig, text: &str) -> Result<(), Failure> {
    let (key, value) = pair(text)?;
    let value: u32 = value.parse().map_err(|_| {
        Failure::new(Exit::Usage, format!("{text:?}: {value:?} is no number up to {}", u32::MAX))
    })?;
    let limits = config.limits.get_or_insert_with(|| (&ChannelLimits::default()).into());
    match key {
        "limits.envelope_bytes_max" => limits.envelope_bytes_max = value,
        "limits.batch_envelopes_max" => limits.batch_envelopes_max = value,
        "limits.batch_bytes_max" => limits.batch_bytes_max = value,
        "limits.batch_timeout" => limits.batch_timeout_ms = value,
        other => {
            return Err(Failure::new(Exit::Usage, format!("there is no limit {other:?}")).cure(
                "the limits are limits.envelope_bytes_max, limits.batch_envelopes_max, \
                 limits.batch_bytes_max and limits.batch_timeout",
            ));
        }
    }
    Ok(())
}

/// What differs between two configs, a line each, `-` before and `+` after.
pub(super) fn difference(before: &ChannelConfig, after: &ChannelConfig) -> Vec<String> {
    let (before, after) = (lines(before), lines(after));
    let gone = before.iter().filter(|line| !after.contains(*line)).map(|line| format!("- {line}"));
    let come = after.iter().filter(|line| !before.contains(*line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

fn lines(config: &ChannelConfig) -> BTreeSet<String> {
    let mut lines = BTreeSet::from([
        format!("name {}", config.name()),
        format!("quorum {} of {}", config.quorum(), config.orderers().len()),
    ]);
    for org in config.orgs() {
        let id = org.id.short();
        let anchors: Vec<&str> = org.anchors.iter().map(|anchor| anchor.as_str()).collect();
        lines.insert(format!("org {} ({id}) anchors {}", org.name, anchors.join(",")));
        for (right, has, units) in
            [("reads", org.is_reader, &org.reader_ous), ("writes", org.is_writer, &org.writer_ous)]
        {
            if has {
                let units = if units.is_empty() { "any unit".to_owned() } else { units.join(",") };
                lines.insert(format!("org {} ({id}) {right}: {units}", org.name));
            }
        }
    }
    for orderer in config.orderers() {
        lines.insert(format!("orderer {} of {} key {}", orderer.endpoint, orderer.org, orderer.key));
    }
    let limits = config.limits();
    lines.insert(format!("limits.envelope_bytes_max {}", limits.envelope_bytes_max));
    lines.insert(format!("limits.batch_envelopes_max {}", limits.batch_envelopes_max));
    lines.insert(format!("limits.batch_bytes_max {}", limits.batch_bytes_max));
    lines.insert(format!("limits.batch_timeout {}", limits.batch_timeout.as_millis()));
    lines
}
