//! PEM text (RFC 7468) in and out, bounded. Never looks into the DER inside.

use pem_rfc7468::LineEnding;
use rustls_pki_types::pem::{self, PemObject};

/// Writes one section; `label` is the word between `BEGIN` and the dashes.
pub(crate) fn encode(label: &'static str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).expect("our labels are valid and sizes bounded")
}

/// The DER of every section of kind `T` in `text`, in order.
///
/// # Errors
///
/// [`PemError`] at the first section that is not well-formed.
pub(crate) fn decode_all<T: PemObject>(text: &[u8]) -> Result<Vec<T>, PemError> {
    T::pem_slice_iter(text).collect::<Result<_, _>>().map_err(PemError::from)
}

/// Text that is no PEM, or lacks the section wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed PEM text: {0}")]
pub struct PemError(String);

impl From<pem::Error> for PemError {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::NoItemsFound => Self("the section wanted is absent".to_owned()),
            other => Self(other.to_string()),
        }
    }
}
