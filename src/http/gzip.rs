//! Content that is kept compressed, and sent so to whoever takes it.

use axum::body::Bytes;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use crate::error::Error;

/// A file in the format of gzip, as the build makes it: ten bytes, the compressed content, and
/// in four bytes each the checksum and the length of the content.
#[derive(Debug, Clone, Copy)]
pub struct Gzip(pub &'static [u8]);

impl Gzip {
    /// The checksum in hexadecimal digits.
    pub fn checksum(self) -> String {
        format!("{:08x}", self.trailer() & 0xffff_ffff)
    }

    /// The content as it was.
    pub fn content(self) -> Result<Bytes, Error> {
        let compressed = self.0.get(10..).unwrap_or_default();
        let length = usize::try_from(self.trailer() >> 32).unwrap_or_default();
        let content = decompress_to_vec_with_limit(compressed, length);
        content
            .map(Bytes::from)
            .map_err(|error| Error::Internal(format!("a compressed file is broken: {error}")))
    }

    fn trailer(self) -> u64 {
        u64::from_le_bytes(self.0.last_chunk().copied().unwrap_or_default())
    }
}

/// Whether the client takes gzip. Without the header it may, but need not, be able to.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let mut any = false;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for coding in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let name = name.trim();
            let accepted = !is_zero(weight);
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                return accepted;
            }
            any |= name == "*" && accepted;
        }
    }
    any
}

/// Whether a weight is `q=0`, `q=0.0` or the like: not wanted at all.
fn is_zero(weight: &str) -> bool {
    let weight = weight.trim().to_ascii_lowercase();
    let number = weight.strip_prefix("q=").map(str::trim);
    number
        .is_some_and(|number| number.starts_with('0') && number.bytes().all(|b| b"0.".contains(&b)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_sent_to_who_asks_for_it() {
        let accepted = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            is_accepted(&headers)
        };
        for values in [
            &["gzip"][..],
            &["gzip, deflate, br"],
            &["br;q=1.0,GZIP ; q=0.8"],
            &["x-gzip"],
            &["br", "gzip"],
            &["*"],
            &["gzip;q=0.001"],
        ] {
            assert!(accepted(values), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["br"],
            &["identity"],
            &["gzip;q=0"],
            &["gzip; Q=0.000"],
            &["*;q=0"],
            &["*, gzip;q=0"],
            &["gzip;q=0, *;q=1"],
        ] {
            assert!(!accepted(values), "{values:?}");
        }
    }
}
