//! Alters the bodies that it passes on under their true headers (A9, A11).

use super::{Crime, Lie, channel_message};
use crate::traffic::SentFrame;
use bytes::Bytes;
use ledgercast_protocol::wire::ChannelMessage;

/// What is done to a frame of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyAlteration {
    /// Its last bit is another one.
    Bit,
    /// The same bytes are cut into other parts: the first two are one, as CVE-2023-46132 does it.
    Recut,
    /// Its last byte is missing.
    Truncated,
    /// It has a byte too many.
    Swollen,
    /// Its place in the body is another one.
    Misplaced,
}

impl BodyAlteration {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Bit, Self::Recut, Self::Truncated, Self::Swollen, Self::Misplaced];

    /// The frame with its alteration, and its place.
    pub fn apply(self, index: u32, payload: &Bytes) -> (u32, Bytes) {
        let mut bytes = payload.to_vec();
        match self {
            Self::Bit => bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1),
            Self::Recut if index == 0 => merge_first_parts(&mut bytes),
            Self::Recut => {}
            Self::Truncated => drop(bytes.pop()),
            Self::Swollen => bytes.push(0),
            Self::Misplaced => return (index + 1, payload.clone()),
        }
        (index, bytes.into())
    }
}

/// Lets the first part's length cover the second part as well: equal length, other parts.
fn merge_first_parts(body: &mut [u8]) {
    let length_at =
        |at: usize| body.get(at..at + 4).map(|it| u32::from_be_bytes(it.try_into().expect("four")));
    let Some(first) = length_at(0) else {
        return;
    };
    let second = usize::try_from(first).ok().and_then(|first| length_at(first + 4));
    if let Some(second) = second {
        body[..4].copy_from_slice(&(first + 4 + second).to_be_bytes());
    }
}

/// Alters every frame of a body in one way.
#[derive(Clone, Copy, Debug)]
pub struct AlteredBodies(pub BodyAlteration);

impl Crime for AlteredBodies {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        match channel_message(sent, &["body_frame"]) {
            Some((channel, ChannelMessage::BodyFrame { header_hash, index, payload })) => {
                let (index, payload) = self.0.apply(index, &payload);
                vec![Lie::channel(channel, ChannelMessage::BodyFrame { header_hash, index, payload })]
            }
            _ => Lie::truth(sent),
        }
    }
}
