//! What a test network is to have.

use ledgercast_protocol::types::{ChannelName, ChannelNameError};
use std::str::FromStr;
use thiserror::Error;

/// The org that runs the orderer.
pub const ORDERER_ORG: &str = "orderer";

const ORGS_MAX: usize = 100;
const PEERS_PER_ORG_MAX: usize = 100;
const FOLLOWERS_MAX: usize = 16;

/// A test network to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many orgs, named org1, org2 and so on.
    pub orgs: usize,
    /// How many peers each has.
    pub peers_per_org: usize,
    /// Its channels.
    pub channels: Vec<ChannelPlan>,
    /// How many orderers follow the one that signs.
    pub followers: usize,
    /// The first of a run of ports; `None`: any free ones.
    pub base_port: Option<u16>,
}

/// A channel of a test network: `NAME=ORG,ORG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPlan {
    /// Its name.
    pub name: ChannelName,
    /// Its member orgs.
    pub orgs: Vec<String>,
}

/// Why a plan makes no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// A count is outside its bounds.
    #[error("{found} {what}: allowed are {min} to {max}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many were asked for.
        found: usize,
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
    /// A channel is not written as `NAME=ORG,ORG`.
    #[error("{0:?} is no channel: write NAME=ORG,ORG, such as trade=org1,org2")]
    Channel(String),
    /// A channel's name is not allowed.
    #[error(transparent)]
    Name(#[from] ChannelNameError),
    /// A channel has an org that the network has not.
    #[error("channel {channel} names org {org:?}, the network has org1 to org{orgs}")]
    UnknownOrg {
        /// The channel.
        channel: ChannelName,
        /// The org.
        org: String,
        /// How many orgs there are.
        orgs: usize,
    },
    /// Two channels of one name, or an org twice in a channel.
    #[error("{0} is given twice")]
    Twice(String),
    /// There are not so many ports.
    #[error("base port {base} leaves too few ports: {needed} are needed")]
    Ports {
        /// The first port.
        base: u16,
        /// How many are needed.
        needed: usize,
    },
}

impl Plan {
    /// Checks the plan.
    ///
    /// # Errors
    /// [`PlanError`] names what makes no sense.
    pub fn check(&self) -> Result<(), PlanError> {
        let counts = [
            ("orgs", self.orgs, 1, ORGS_MAX),
            ("peers per org", self.peers_per_org, 1, PEERS_PER_ORG_MAX),
            ("followers", self.followers, 0, FOLLOWERS_MAX),
        ];
        for (what, found, min, max) in counts {
            if found < min || found > max {
                return Err(PlanError::Count { what, found, min, max });
            }
        }
        for (index, channel) in self.channels.iter().enumerate() {
            if self.channels[..index].iter().any(|earlier| earlier.name == channel.name) {
                return Err(PlanError::Twice(format!("channel {}", channel.name)));
            }
            self.check_orgs(channel)?;
        }
        match self.base_port {
            Some(base) if usize::from(base) + self.ports_needed() > usize::from(u16::MAX) || base == 0 => {
                Err(PlanError::Ports { base, needed: self.ports_needed() })
            }
            _ => Ok(()),
        }
    }

    fn check_orgs(&self, channel: &ChannelPlan) -> Result<(), PlanError> {
        for (index, org) in channel.orgs.iter().enumerate() {
            if !self.org_names().any(|name| name == *org) {
                let (channel, org, orgs) = (channel.name.clone(), org.clone(), self.orgs);
                return Err(PlanError::UnknownOrg { channel, org, orgs });
            }
            if channel.orgs[..index].contains(org) {
                return Err(PlanError::Twice(format!("org {org} of channel {}", channel.name)));
            }
        }
        Ok(())
    }

    /// The names of the orgs.
    pub fn org_names(&self) -> impl Iterator<Item = String> + use<> {
        (1..=self.orgs).map(|number| format!("org{number}"))
    }

    /// Ports that all processes together listen on: two for each orderer, three for each peer.
    pub fn ports_needed(&self) -> usize {
        2 * (1 + self.followers) + 3 * self.orgs * self.peers_per_org
    }
}

impl FromStr for ChannelPlan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || PlanError::Channel(text.to_owned());
        let (name, orgs) = text.split_once('=').ok_or_else(malformed)?;
        let orgs: Vec<String> = orgs.split(',').map(|org| org.trim().to_owned()).collect();
        if orgs.iter().any(String::is_empty) {
            return Err(malformed());
        }
        Ok(Self { name: name.trim().parse()?, orgs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(channels: &[&str]) -> Plan {
        let channels = channels.iter().map(|text| text.parse().unwrap()).collect();
        Plan { orgs: 3, peers_per_org: 2, channels, followers: 0, base_port: None }
    }

    #[test]
    fn accepts_two_overlapping_channels() {
        assert_eq!(plan(&["trade=org1,org2", "audit=org2,org3"]).check(), Ok(()));
        assert_eq!(plan(&[]).ports_needed(), 20);
        assert_eq!(Plan { followers: 2, ..plan(&[]) }.ports_needed(), 24);
    }

    #[test]
    fn refuses_what_the_network_has_not() {
        let unknown = plan(&["trade=org1,org4"]).check();
        let twice = plan(&["trade=org1", "trade=org2"]).check();
        let org_twice = plan(&["trade=org1,org1"]).check();
        let many = Plan { followers: 17, ..plan(&[]) }.check();
        let none = Plan { orgs: 0, ..plan(&[]) }.check();
        let ports = Plan { base_port: Some(65_530), ..plan(&[]) }.check();

        assert!(matches!(unknown, Err(PlanError::UnknownOrg { org, .. }) if org == "org4"));
        assert!(matches!(twice, Err(PlanError::Twice(_))));
        assert!(matches!(org_twice, Err(PlanError::Twice(_))));
        assert!(matches!(many, Err(PlanError::Count { what: "followers", .. })));
        assert!(matches!(none, Err(PlanError::Count { what: "orgs", .. })));
        assert!(matches!(ports, Err(PlanError::Ports { base: 65_530, needed: 20 })));
    }

    #[test]
    fn refuses_text_that_is_no_channel() {
        for text in ["trade", "trade=", "trade=org1,,org2"] {
            assert!(matches!(text.parse::<ChannelPlan>(), Err(PlanError::Channel(_))), "{text}");
        }
        assert!(matches!("Trade=org1".parse::<ChannelPlan>(), Err(PlanError::Name(_))));
    }
}
