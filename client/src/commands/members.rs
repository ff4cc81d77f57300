//! `ledgercast members`: whom a peer knows, and in what state.

use super::output::{duration, hex, short};
use super::session::Session;
use super::{Failure, Globals, Output, by_name};
use clap::Args;
use ledgercast_protocol::types::ChannelName;
use ledgercast_protocol::wire::proto::{MemberState, MemberStatus, MembersRequest};
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only members of this channel, with their heights
    #[arg(long, value_name = "NAME")]
    channel: Option<ChannelName>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let request = MembersRequest { channel: arguments.channel.as_ref().map(by_name) };
    let members = connection.answer(connection.admin().members(request)).await?.members;
    let values: Vec<Value> = members.iter().map(describe).collect();
    let rows: Vec<Vec<String>> = members.iter().map(row).collect();
    let header = [
        "name",
        "member",
        "org",
        "state",
        "reason",
        "silent",
        "endpoint",
        "session",
        "height",
        "incarnation",
        "standing",
        "alarm",
    ];
    output.table(&values, &header, &rows)
}

fn state(member: &MemberStatus) -> &'static str {
    match member.state() {
        MemberState::Unspecified => "unknown",
        MemberState::Alive => "alive",
        MemberState::Evicted => "evicted",
        MemberState::Left => "left",
    }
}

/// What the asked peer holds against a member.
fn standing(member: &MemberStatus) -> String {
    match (member.quarantined_ms, member.offences) {
        (0, 0) => "good".to_owned(),
        (0, 1) => "1 offence".to_owned(),
        (0, offences) => format!("{offences} offences"),
        (left, _) => format!("quarantined for {}", duration(left)),
    }
}

fn row(member: &MemberStatus) -> Vec<String> {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    vec![
        or_dash(&member.name),
        short(&member.member),
        or_dash(&member.org_name),
        state(member).to_owned(),
        or_dash(&member.reason),
        if member.is_self { "self".to_owned() } else { duration(member.silent_ms) },
        or_dash(&member.endpoint),
        if member.is_connected { "open".to_owned() } else { "-".to_owned() },
        if member.height == 0 { "-".to_owned() } else { member.height.to_string() },
        member.incarnation.to_string(),
        standing(member),
        or_dash(&member.alarm),
    ]
}

fn describe(member: &MemberStatus) -> Value {
    json!({
        "member": hex(&member.member),
        "org": hex(&member.org),
        "org_name": member.org_name,
        "name": member.name,
        "endpoint": member.endpoint,
        "state": state(member),
        "reason": member.reason,
        "silent_ms": member.silent_ms,
        "incarnation": member.incarnation,
        "sequence": member.sequence,
        "is_self": member.is_self,
        "is_connected": member.is_connected,
        "height": member.height,
        "offences": member.offences,
        "quarantines": member.quarantines,
        "quarantined_ms": member.quarantined_ms,
        "alarm": member.alarm,
    })
}
