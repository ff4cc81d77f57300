//! The nouns of the domain as types of their own; one noun, one file.

mod channel_id;
mod endpoint;
mod height;
mod incarnation;
mod lane;
mod neighbour;
mod session_id;
mod source_id;
mod tick;

pub use channel_id::{CHANNEL_NAME_BYTES_MAX, ChannelId, ChannelName, ChannelNameError};
pub use endpoint::{ENDPOINT_BYTES_MAX, Endpoint, EndpointError};
pub use height::{BlockNumber, Height};
pub use incarnation::{Incarnation, Mark, Sequence};
pub use lane::Lane;
pub use ledgercast_crypto::{MemberId, OrgId};
pub use neighbour::Neighbour;
pub use session_id::SessionId;
pub use source_id::{FeedId, SourceId};
pub use tick::{TICK_BYTES, Tick};
