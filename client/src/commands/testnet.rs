//! `ledgercast testnet`: a test network's files.

use super::session::wall_time;
use super::{Failure, Output};
use crate::testnet::{self, ChannelPlan, Plan, Summary};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to write; must be empty or absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of orgs, named org1, org2 and so on
    #[arg(long, default_value_t = 3)]
    orgs: usize,
    /// Number of peers of each org
    #[arg(long, default_value_t = 2)]
    peers: usize,
    /// Number of orderers that follow the one that signs
    #[arg(long, default_value_t = 0)]
    followers: usize,
    /// A channel and its orgs; may be given several times [default: trade=org1,org2 audit=org2,org3, as far
    /// as orgs exist]
    #[arg(long = "channel", value_name = "NAME=ORG,ORG")]
    channel_plans: Vec<ChannelPlan>,
    /// First of a run of loopback ports; free ones are chosen otherwise
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let channels = match arguments.channel_plans.is_empty() {
        true => default_channels(arguments.orgs),
        false => arguments.channel_plans,
    };
    let (orgs, peers_per_org, base_port) = (arguments.orgs, arguments.peers, arguments.base_port);
    let plan = Plan { orgs, peers_per_org, channels, followers: arguments.followers, base_port };
    plan.check()?;
    let summary = testnet::write(&arguments.out, &plan, wall_time())?;
    if output.is_json() {
        return output.line(&summary, String::new);
    }
    let nodes = summary.orderers.iter().chain(&summary.followers).chain(&summary.peers);
    let rows = nodes.map(|node| {
        let listen = node.listen.clone().unwrap_or_else(|| "-".to_owned());
        vec![node.name.clone(), listen, node.api.clone(), node.operations.clone()]
    });
    output.table(&summary, &["process", "listen", "grpc", "operations"], &rows.collect::<Vec<_>>())?;
    explain(&summary, output)
}

/// The channels of the design's example, as far as the network has their orgs.
fn default_channels(orgs: usize) -> Vec<ChannelPlan> {
    let wanted = [("trade", 1), ("audit", 2)];
    let wanted = wanted.into_iter().filter(|(_, first)| *first < orgs.max(2));
    wanted
        .map(|(name, first)| ChannelPlan {
            name: name.parse().expect("the name is allowed"),
            orgs: (first..=first + 1).filter(|org| *org <= orgs).map(|org| format!("org{org}")).collect(),
        })
        .collect()
}

fn explain(summary: &Summary, output: &mut Output) -> Result<(), Failure> {
    output.say("")?;
    for channel in &summary.channels {
        output.say(&format!("channel {}: {}", channel.name, channel.orgs.join(", ")))?;
    }
    let (orderer, peer) = (&summary.orderers[0], &summary.peers[0]);
    output.say("\nnext, each in a terminal of its own:")?;
    output.say(&format!("  ledgercastd orderer --home {}", orderer.home.display()))?;
    for follower in &summary.followers {
        output.say(&format!("  ledgercastd orderer --home {}", follower.home.display()))?;
    }
    output.say(&format!("  ledgercastd peer --home {}", peer.home.display()))?;
    if let (Some(channel), Some(admin)) = (summary.channels.first(), summary.users.first()) {
        let (profile, genesis) = (admin.profile.display(), channel.genesis.display());
        output.say(&format!("  ledgercast --profile {profile} channel join {genesis}"))?;
        output
            .say("and each peer of its orgs likewise: --profile of the org's admin, --at the peer's grpc")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_channels_name_only_orgs_that_exist() {
        for orgs in 1..=4 {
            let channels = default_channels(orgs);
            let plan = Plan { orgs, peers_per_org: 1, channels, followers: 0, base_port: None };

            assert_eq!(plan.check(), Ok(()), "{orgs} orgs");
            assert_eq!(plan.channels.len(), if orgs < 3 { 1 } else { 2 }, "{orgs} orgs");
        }
    }
}
