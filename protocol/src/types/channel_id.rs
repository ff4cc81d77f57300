//! A channel's id, chosen at random when it is created, and the name that members use for it.

use ledgercast_crypto::digest::Digest;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// 32 random bytes from block 0; signatures of the channel cover them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId([u8; 32]);

/// The longest channel name, as in the reference system.
pub const CHANNEL_NAME_BYTES_MAX: usize = 249;

/// A local alias of a channel: `[a-z][a-z0-9.-]{0,248}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

/// Why a text is not a channel name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("channel name {0:?} is not allowed: a letter a-z, then at most 248 of a-z, 0-9, '.' and '-'")]
pub struct ChannelNameError(String);

impl ChannelId {
    /// A channel id from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {}", Digest::from_bytes(self.0).short())
    }
}

impl ChannelName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = ChannelNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let is_first_allowed = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let is_rest_allowed =
            bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        if is_first_allowed && is_rest_allowed && text.len() <= CHANNEL_NAME_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(ChannelNameError(text.chars().take(CHANNEL_NAME_BYTES_MAX + 1).collect()))
        }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_follow_the_reference_rule() {
        assert!("trade".parse::<ChannelName>().is_ok());
        assert!("a0.b-c".parse::<ChannelName>().is_ok());
        for refused in ["", "Trade", "1trade", "tra_de", "../x", "é"] {
            assert!(refused.parse::<ChannelName>().is_err(), "{refused:?}");
        }
        assert!("a".repeat(249).parse::<ChannelName>().is_ok());
        assert!("a".repeat(250).parse::<ChannelName>().is_err());
    }
}
