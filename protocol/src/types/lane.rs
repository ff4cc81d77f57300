//! The long-lived lanes of a connection.

/// A lane of a session. Frames of one lane arrive in order; lanes overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Small frames, strict priority: membership, announcements, headers, questions.
    Control,
    /// Pushed bodies.
    Data,
    /// Answers to questions for bodies and ranges.
    Pull,
}
