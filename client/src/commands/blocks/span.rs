//! Which blocks a person asks for: `newest`, `oldest`, `all`, `N`, `N..M`, `N..`.

use crate::blocks::{Range, Start, Stop};
use ledgercast_protocol::types::BlockNumber;
use std::str::FromStr;

/// A span of block numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Oldest,
    Newest,
    All,
    One(u64),
    From(u64),
    FromTo(u64, u64),
}

impl Span {
    pub(super) fn range(self) -> Range {
        let at = |number| Start::At(BlockNumber::new(number));
        let (start, stop) = match self {
            // The oldest block alone: block 0, which no program prunes yet.
            Self::Oldest => (at(0), Stop::At(BlockNumber::GENESIS)),
            Self::Newest => (Start::Newest, Stop::Newest),
            Self::All => (Start::Oldest, Stop::Newest),
            Self::One(number) => (at(number), Stop::At(BlockNumber::new(number))),
            Self::From(number) => (at(number), Stop::Newest),
            Self::FromTo(first, last) => (at(first), Stop::At(BlockNumber::new(last))),
        };
        Range { start, stop }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || format!("{text:?} is none of: oldest, newest, all, N, N..M, N..");
        let number = |text: &str| text.parse::<u64>().map_err(|_| malformed());
        match (text, text.split_once("..")) {
            ("oldest", _) => Ok(Self::Oldest),
            ("newest", _) => Ok(Self::Newest),
            ("all", _) => Ok(Self::All),
            (_, None) => Ok(Self::One(number(text)?)),
            (_, Some((first, ""))) => Ok(Self::From(number(first)?)),
            (_, Some((first, last))) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok(Self::FromTo(first, last)),
                (first, last) => Err(format!("block {last} comes before block {first}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        assert_eq!("7".parse(), Ok(Span::One(7)));
        assert_eq!("7..".parse(), Ok(Span::From(7)));
        assert_eq!("7..9".parse(), Ok(Span::FromTo(7, 9)));
        assert_eq!("newest".parse(), Ok(Span::Newest));
    }

    #[test]
    fn refuses_a_span_that_runs_backwards() {
        assert!("9..7".parse::<Span>().unwrap_err().contains("before"));
        assert!("some".parse::<Span>().unwrap_err().contains("N..M"));
    }
}
