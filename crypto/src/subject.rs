//! The subject of a certificate: common name, org and role, as the reference system lays them out.
//! Never decides whether the certificate is to be believed.

use std::fmt;
use std::str::FromStr;

use x509_parser::prelude::{AttributeTypeAndValue, X509Name};

use crate::certificate::CertificateError;

/// Longest common name, org or unit, in bytes of UTF-8. X.520 allows 64 characters.
pub const NAME_BYTES_MAX: usize = 256;
/// Most organisational units of a subject. Guess; the reference CA writes three or fewer.
pub const UNITS_MAX: usize = 8;

/// What a member may be, by the organisational unit of its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Keeps ledgers and gossips.
    Peer,
    /// Cuts and signs blocks.
    Orderer,
    /// Submits envelopes and reads blocks.
    Client,
    /// A client that also joins channels and signs configurations.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Peer, Self::Orderer, Self::Client, Self::Admin];

    /// The organisational unit that stands for this role.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Orderer => "orderer",
            Self::Client => "client",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.unit())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.unit() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no role is called {0:?}: peer, orderer, client or admin")]
pub struct UnknownRole(pub String);

/// The parts of a subject that we read; the others are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The first common name, or empty.
    pub common_name: String,
    /// The organisation, or empty.
    pub org: String,
    /// The organisational units, in order.
    pub units: Vec<String>,
}

impl Subject {
    pub(crate) fn read(name: &X509Name<'_>) -> Result<Self, CertificateError> {
        let orgs = texts("organisation", name.iter_organization())?;
        if orgs.len() > 1 {
            return Err(CertificateError::Malformed { what: format!("{} organisations", orgs.len()) });
        }
        Ok(Self {
            common_name: texts("common name", name.iter_common_name())?
                .into_iter()
                .next()
                .unwrap_or_default(),
            org: orgs.into_iter().next().unwrap_or_default(),
            units: texts("organisational unit", name.iter_organizational_unit())?,
        })
    }

    /// The one role among the units; `None` if there is none, or more than one.
    pub fn role(&self) -> Option<Role> {
        let mut roles =
            Role::ALL.into_iter().filter(|role| self.units.iter().any(|unit| unit == role.unit()));
        match (roles.next(), roles.next()) {
            (Some(role), None) => Some(role),
            _ => None,
        }
    }
}

/// Texts of one kind, bounded and free of control characters, because names end up in logs and terminals.
fn texts<'a>(
    what: &str,
    attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> Result<Vec<String>, CertificateError> {
    let malformed = |why: &str| CertificateError::Malformed { what: format!("{what} {why}") };
    let mut texts = Vec::new();
    for attribute in attributes {
        let text = attribute.as_str().map_err(|_| malformed("is no text"))?;
        if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(malformed("is too long or has control characters"));
        }
        if texts.len() == UNITS_MAX {
            return Err(malformed("given too often"));
        }
        texts.push(text.to_owned());
    }
    Ok(texts)
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CN={}, O={}, OU={}", self.common_name, self.org, self.units.join("+"))
    }
}
