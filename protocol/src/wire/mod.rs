//! What peers say to each other: bounded decoding of frames into checked shapes, and signed statements.
//!
//! ```text
//! frame bytes ─shape, decode──► Message (bounds) ─► peer: cheap checks ─► Job ─verify──► Verified<T>
//!             └─ DecodeError: an offence of the session's peer
//! ```
//!
//! The generated types of [`proto`] do not leave this module and `ledger`, `channel`: the rest of the crate
//! sees [`Message`] and its parts.

mod decode;
mod encode;
mod message;
pub mod proto;
pub(crate) mod shape;
mod signed;
mod statement;

pub use decode::DecodeError;
pub use message::{
    AliveRecord, CertificateChain, ChannelMessage, Conflict, Hello, InternalEndpoint, Message, Push,
    RevocationMark, Summary, Tip, WIRE_VERSION, WantBody, WantHeaders,
};
pub use signed::{Signed, Statement, Verified};
pub use statement::{Alive, ChannelLeave, Leadership, Leave, StateInfo, TickChain};

/// Bytes of a body that one frame carries; the last frame of a body may be shorter.
pub const BODY_FRAME_BYTES: usize = 256 * 1024;

/// The most entries that any list in a frame may have.
pub const LIST_ENTRIES_MAX: usize = 4096;

/// The most ticks that may follow one alive: as many hashes tell that a tick belongs to no chain.
pub const LINKS_MAX: u32 = 64;

/// The most ticks that one frame carries.
pub const TICKS_MAX: usize = 1024;

/// The most ticks that are asked about in one frame.
pub const WANT_ANCHORS_MAX: usize = 64;

/// The most channels that a session may name.
pub const CHANNELS_MAX: usize = 1024;

/// The most headers that one frame carries.
pub const HEADERS_MAX: usize = 1024;

/// The most children that a push may name: the tree's width for 4,096 relays.
pub const CHILDREN_MAX: usize = 64;

/// The most intermediates in a certificate chain.
pub(crate) const INTERMEDIATES_MAX: usize = 4;

/// The most certificates that one frame carries.
pub const CERTIFICATES_MAX: usize = 64;

/// The most marks of revocation lists that one frame carries.
pub const REVOCATION_MARKS_MAX: usize = 512;

/// The most revocation lists that one frame carries.
pub const REVOCATION_LISTS_MAX: usize = 4;

/// Bytes of certificates after which a sender begins another frame: control frames have 64 KiB, and the
/// largest chain fits beside nothing else.
pub const CERTIFICATES_BYTES_MAX: usize = 48 * 1024;
