//! Homes of processes and users with their configurations: only keys that differ from the defaults.

use super::{ChannelPlan, NodeSummary, Ports, Summary, TestnetError, UserSummary, write_file};
use crate::authority::{LOCAL_NAMES, Member, OrgAuthority};
use ledgercast_crypto::{MemberId, Role};
use ledgercast_protocol::time::WallTime;
use std::fmt::Write;
use std::path::Path;

const MEMBER_DAYS: u64 = 365;

fn enrol(
    org: &OrgAuthority,
    home: &Path,
    name: &str,
    role: Role,
    now: WallTime,
) -> Result<MemberId, TestnetError> {
    let member = Member { name, role, unit: None, hosts: &LOCAL_NAMES, days: MEMBER_DAYS };
    Ok(org.enrol(home, member, now)?)
}

/// Enrols and configures an orderer, or a follower.
pub(super) fn orderer(
    org: &OrgAuthority,
    name: &str,
    is_follower: bool,
    ports: &mut Ports,
    now: WallTime,
) -> Result<NodeSummary, TestnetError> {
    let home = org.folder().join("orderers").join(name);
    let name = format!("{name}.{}", org.org());
    let member = enrol(org, &home, &name, Role::Orderer, now)?;
    let (api, operations) = (ports.take(), ports.take());
    let config = home.join("orderer.toml");
    let role = if is_follower { "[orderer]\nfollow = true\n\n" } else { "" };
    let text = format!(
        "# Written by `ledgercast testnet`; configs/orderer.toml explains every key.\n\
         {role}[api]\nlisten = {api:?}\n\n\
         [operations]\nlisten = {operations:?}\n"
    );
    write_file(&config, &text)?;
    Ok(NodeSummary {
        name,
        org: org.org().to_owned(),
        member: member.to_string(),
        home,
        config,
        listen: None,
        api,
        operations,
    })
}

/// Enrols and configures the peers of an org; each bootstraps from the first one, which does from the second.
pub(super) fn peers(
    org: &OrgAuthority,
    count: usize,
    network_id: &str,
    ports: &mut Ports,
    now: WallTime,
) -> Result<Vec<NodeSummary>, TestnetError> {
    let listens: Vec<String> = (0..count).map(|_| ports.take()).collect();
    let mut peers = Vec::new();
    for (index, listen) in listens.iter().enumerate() {
        let bootstrap = listens.get(usize::from(index == 0)).filter(|_| count > 1);
        let name = format!("peer{index}.{}", org.org());
        let home = org.folder().join(format!("peers/peer{index}"));
        let member = enrol(org, &home, &name, Role::Peer, now)?;
        let (api, operations) = (ports.take(), ports.take());
        let config = home.join("peer.toml");
        let node = NodeSummary {
            name,
            org: org.org().to_owned(),
            member: member.to_string(),
            home,
            config,
            listen: Some(listen.clone()),
            api,
            operations,
        };
        write_file(&node.config, &peer_config(&node, network_id, listen, bootstrap))?;
        peers.push(node);
    }
    Ok(peers)
}

fn peer_config(node: &NodeSummary, network_id: &str, listen: &str, bootstrap: Option<&String>) -> String {
    let bootstrap: Vec<&String> = bootstrap.into_iter().collect();
    let (api, operations) = (&node.api, &node.operations);
    format!(
        "# Written by `ledgercast testnet`; configs/peer.toml explains every key.
\
         [peer]
network_id = {network_id:?}
listen = [{listen:?}]
internal_endpoint = {listen:?}
\
         external_endpoint = {listen:?}
bootstrap = {bootstrap:?}

\
         [api]
listen = {api:?}

\
         [operations]
listen = {operations:?}
"
    )
}

/// Enrols an admin or a client and writes its profile.
pub(super) fn user(
    org: &OrgAuthority,
    role: Role,
    endpoint: &str,
    network: &Path,
    now: WallTime,
) -> Result<UserSummary, TestnetError> {
    let home = org.folder().join("users").join(role.unit());
    let name = format!("{role}.{}", org.org());
    enrol(org, &home, &name, role, now)?;
    let profile = home.join("client.toml");
    let channels = network.join("channels");
    let text = format!(
        "# Written by `ledgercast testnet`; configs/client.toml explains every key.\n\
         endpoint = {endpoint:?}\nchannels = {channels:?}\n"
    );
    write_file(&profile, &text)?;
    Ok(UserSummary { name, org: org.org().to_owned(), role: role.to_string(), home, profile })
}

/// The text of a channel file: the member orgs, each with its first peer as anchor, and the orderers.
pub(super) fn channel(plan: &ChannelPlan, summary: &Summary) -> String {
    let mut text = format!(
        "# Written by `ledgercast testnet`; configs/channel.toml explains every key.\nname = \"{}\"\n",
        plan.name
    );
    for org in &plan.orgs {
        let anchors: Vec<&String> =
            summary.peers_of(org).filter_map(|peer| peer.listen.as_ref()).take(1).collect();
        write!(text, "\n[[orgs]]\nname = {org:?}\nmsp = \"../{org}/msp\"\nanchors = {anchors:?}\n")
            .expect("writing to a string cannot fail");
    }
    for orderer in &summary.orderers {
        let (org, endpoint) = (&orderer.org, &orderer.api);
        let certificate = format!("../{org}/orderers/orderer0/msp/signcerts/cert.pem");
        write!(
            text,
            "\n[[orderers]]\norg = {org:?}\ncertificate = {certificate:?}\nmsp = \"../{org}/msp\"\n\
             endpoint = {endpoint:?}\n"
        )
        .expect("writing to a string cannot fail");
    }
    for follower in &summary.followers {
        let (org, endpoint) = (&follower.org, &follower.api);
        write!(text, "\n[[followers]]\norg = {org:?}\nmsp = \"../{org}/msp\"\nendpoint = {endpoint:?}\n")
            .expect("writing to a string cannot fail");
    }
    text
}
