//! Short values, as they stand in frames, configs and command lines: keys, digests, list numbers, endpoints,
//! names of channels and roles.
//!
//! Bound: 1 KiB and 4 times the input. Derived: a refused text is shown in its error.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::{Digest, PublicKey, RevocationNumber, Role, Signature};
use ledgercast_protocol::types::{ChannelName, Endpoint};
use std::fmt::Display;
use std::str::FromStr;

/// See the module.
pub const TARGET: Target =
    Target { name: "values", bound: Bound { base: 1024, factor: 4, parsed_max: 0 }, property: check };

fn check(trial: &Trial<'_>) {
    let bytes = trial.input();
    let key = trial.count(|| PublicKey::try_from(bytes));
    assert!(key.is_ok_and(|key| key.as_bytes() == bytes) || PublicKey::try_from(bytes).is_err());
    assert_eq!(trial.count(|| Digest::try_from(bytes)).is_ok(), bytes.len() == 32);
    assert_eq!(trial.count(|| Signature::try_from(bytes)).is_ok(), bytes.len() == 64);
    if let Ok(number) = trial.count(|| RevocationNumber::from_bytes(bytes)) {
        assert!(bytes.ends_with(number.as_bytes()) && number.as_bytes().first() != Some(&0));
    }
    let Some(text) = trial.text() else { return };
    assert!(shown::<Endpoint>(trial, text).is_none_or(|shown| shown == text));
    assert!(shown::<ChannelName>(trial, text).is_none_or(|shown| shown == text));
    assert!(shown::<Role>(trial, text).is_none_or(|shown| shown == text));
    assert!(shown::<Digest>(trial, text).is_none_or(|shown| shown == text.to_ascii_lowercase()));
}

fn shown<T: FromStr + Display>(trial: &Trial<'_>, text: &str) -> Option<String> {
    trial.count(|| text.parse::<T>()).ok().map(|value| value.to_string())
}
