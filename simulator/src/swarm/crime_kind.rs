//! The crimes that a seed can draw, by name: each can be committed alone, by any member, and together with
//! any other.

use super::plan::PlanError;
use crate::liars::{BodyAlteration, RangeLie, Slander};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A crime without its circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrimeKind {
    /// Bodies are altered in this way (A9, A11).
    Bodies(BodyAlteration),
    /// Headers are altered, one field after the other (A9).
    Headers,
    /// Headers come with the certificates of others (A8).
    ForeignCertificates,
    /// Messages of these kinds come late.
    Late(&'static [&'static str], Duration),
    /// Messages of these kinds never come.
    Withheld(&'static [&'static str]),
    /// Nothing comes at all.
    Silence,
    /// It has everything, it says (A17).
    EarlyCompletes,
    /// It shows liars only (A6).
    Eclipse,
    /// It announces what is not (A8).
    FalseAnnouncements,
    /// It is far ahead, it says (A8).
    FalseHeights,
    /// It answers questions for history so (A10).
    Ranges(RangeLie),
    /// It says this about honest members (A1, A4, A5).
    Slander(Slander),
    /// It sends old alives again (A2).
    Replays,
    /// It has alives that nobody made, it says (A4).
    FalseMarks,
    /// It shows true alives as contradictions (A3).
    FalseConflicts,
    /// Its own alives are of the end of time (A4).
    WildAlives,
    /// It does more of something than anybody needs (A18).
    Flood(FloodKind),
    /// It sends what is no frame (A19).
    Malformed,
    /// It shows evidence that proves nothing (A23).
    FalseEvidence,
    /// It says everything about channels that are not its own (A16).
    Outsider,
}

/// Of what there is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodKind {
    /// Announcements of nothing.
    Announcements,
    /// Questions for headers.
    Headers,
    /// Questions for a body.
    Bodies,
    /// Connections.
    Connections,
    /// Empty digests.
    Digests,
}

const PAYLOAD: &[&str] = &["push", "body_frame", "lacking"];
const ANSWERS: &[&str] = &["body_frame", "headers", "states"];
const NEWS: &[&str] = &["announce", "complete"];
const ALIVES: &[&str] = &["alives", "ticks", "alive_digest", "view_digest"];

/// Just below the time that a push may take before it is repaired (A11).
const PAYLOAD_LATE: Duration = Duration::from_millis(950);
/// Just below the time that a question for history may take (A10).
const ANSWERS_LATE: Duration = Duration::from_millis(1_900);
/// Just below the time that an answer to the last question may take.
const ALIVES_LATE: Duration = Duration::from_millis(1_900);
/// Beyond the time-out of a question for history.
const RANGES_LATE: Duration = Duration::from_millis(2_500);

impl CrimeKind {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Self); 43] = [
        ("bodies-bit", Self::Bodies(BodyAlteration::Bit)),
        ("bodies-recut", Self::Bodies(BodyAlteration::Recut)),
        ("bodies-truncated", Self::Bodies(BodyAlteration::Truncated)),
        ("bodies-swollen", Self::Bodies(BodyAlteration::Swollen)),
        ("bodies-misplaced", Self::Bodies(BodyAlteration::Misplaced)),
        ("headers-altered", Self::Headers),
        ("headers-foreign", Self::ForeignCertificates),
        ("payload-late", Self::Late(PAYLOAD, PAYLOAD_LATE)),
        ("answers-late", Self::Late(ANSWERS, ANSWERS_LATE)),
        ("alives-late", Self::Late(ALIVES, ALIVES_LATE)),
        ("payload-withheld", Self::Withheld(PAYLOAD)),
        ("answers-withheld", Self::Withheld(ANSWERS)),
        ("news-withheld", Self::Withheld(NEWS)),
        ("alives-withheld", Self::Withheld(ALIVES)),
        ("states-withheld", Self::Withheld(&["states", "state_digest", "state_summary"])),
        ("channels-withheld", Self::Withheld(&["channels"])),
        ("hello-withheld", Self::Withheld(&["hello"])),
        ("leadership-withheld", Self::Withheld(&["leadership"])),
        ("silence", Self::Silence),
        ("early-completes", Self::EarlyCompletes),
        ("eclipse", Self::Eclipse),
        ("false-announcements", Self::FalseAnnouncements),
        ("false-heights", Self::FalseHeights),
        ("ranges-gap", Self::Ranges(RangeLie::Gap)),
        ("ranges-other", Self::Ranges(RangeLie::OtherBlocks)),
        ("ranges-reverse", Self::Ranges(RangeLie::Reverse)),
        ("ranges-far", Self::Ranges(RangeLie::FarFuture)),
        ("ranges-many", Self::Ranges(RangeLie::TooMany)),
        ("ranges-one", Self::Ranges(RangeLie::One)),
        ("ranges-late", Self::Ranges(RangeLie::Late(RANGES_LATE))),
        ("ranges-never", Self::Ranges(RangeLie::Never)),
        ("ranges-lacking", Self::Ranges(RangeLie::Lacking)),
        ("slander-questions", Self::Slander(Slander::Questions)),
        ("slander-ticks", Self::Slander(Slander::Ticks)),
        ("slander-leaves", Self::Slander(Slander::Leaves)),
        ("slander-alives", Self::Slander(Slander::Alives)),
        ("slander-conflicts", Self::Slander(Slander::Conflicts)),
        ("replays", Self::Replays),
        ("false-marks", Self::FalseMarks),
        ("false-conflicts", Self::FalseConflicts),
        ("wild-alives", Self::WildAlives),
        ("malformed", Self::Malformed),
        ("false-evidence", Self::FalseEvidence),
    ];

    /// Those that cost much time to simulate, and so are drawn less often.
    pub const COSTLY: [(&'static str, Self); 6] = [
        ("flood-announcements", Self::Flood(FloodKind::Announcements)),
        ("flood-headers", Self::Flood(FloodKind::Headers)),
        ("flood-bodies", Self::Flood(FloodKind::Bodies)),
        ("flood-connections", Self::Flood(FloodKind::Connections)),
        ("flood-digests", Self::Flood(FloodKind::Digests)),
        ("outsider", Self::Outsider),
    ];

    /// Every crime with its name.
    pub fn every() -> impl Iterator<Item = (&'static str, Self)> {
        Self::ALL.into_iter().chain(Self::COSTLY)
    }

    /// Whether it says something of members only, and so begins with the world.
    pub(crate) fn is_of_membership(self) -> bool {
        matches!(
            self,
            Self::Eclipse | Self::Replays | Self::FalseMarks | Self::FalseConflicts | Self::Silence
        ) || matches!(self, Self::Late(kinds, _) | Self::Withheld(kinds) if kinds[0] == ALIVES[0])
    }
}

impl fmt::Display for CrimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::every().find(|(_, kind)| kind == self).map_or("unnamed", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for CrimeKind {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let found = Self::every().find(|(name, _)| *name == text).map(|(_, kind)| kind);
        found.ok_or_else(|| PlanError::Value("crime", text.to_owned()))
    }
}
