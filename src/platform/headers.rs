//! Headers on their way to the host, and what one of them says of a body.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use spin_sdk::wasip3::http::types::{Fields, HeaderError};

/// Headers as the host wants them.
pub fn fields(headers: &HeaderMap) -> Result<Fields, HeaderError> {
    let headers = headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Fields::from_list(&headers.collect::<Vec<_>>())
}

/// The length of a body, if it is known; chunks count more than what is announced. Who has read
/// so much need not ask the host, and wait, for the end as well.
pub fn content_length(headers: &HeaderMap) -> Option<usize> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
