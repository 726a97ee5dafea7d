//! The opaque place in a list from which the next page goes on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// The keyset of the last order of a page. Lists are sorted by creation, then id, descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Position {
    #[serde(deserialize_with = "moment")]
    pub created_at: DateTime<Utc>,
    pub id: Uuid,
}

impl Position {
    /// Where an order stands, by its document.
    pub fn of(document: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(document)
    }

    /// Writes the position for the list that `list` describes.
    pub fn encode(self, list: &str) -> String {
        seal(self.created_at.timestamp_micros(), self.id.as_bytes(), list)
    }

    /// Reads a cursor of the list that `list` describes; `None` if it is no such cursor.
    pub fn decode(cursor: &str, list: &str) -> Option<Self> {
        let (micros, id) = open(cursor, list)?;
        let created_at = DateTime::from_timestamp_micros(micros)?;
        Some(Self {
            created_at: is_rfc_3339(created_at).then_some(created_at)?,
            id: Uuid::from_slice(&id).ok()?,
        })
    }
}

/// A place in the change feed: behind the event that has these two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPosition {
    pub position: i64,
    pub number: i64,
}

/// What cursors of the feed belong to.
const FEED: &str = "events";

impl FeedPosition {
    /// Before the first event.
    pub const START: Self = Self {
        position: -1,
        number: 0,
    };

    pub fn encode(self) -> String {
        seal(self.position, &self.number.to_be_bytes(), FEED)
    }

    pub fn decode(cursor: &str) -> Option<Self> {
        let (position, number) = open(cursor, FEED)?;
        Some(Self {
            position,
            number: i64::from_be_bytes(number.try_into().ok()?),
        })
    }
}

/// Writes a number and some bytes as a cursor of the list that `list` describes. The checksum
/// makes a cursor of another list, or a damaged one, an error instead of a wrong page.
fn seal(first: i64, rest: &[u8], list: &str) -> String {
    let mut bytes = Vec::from(first.to_be_bytes());
    bytes.extend(rest);
    let sum = checksum(&bytes, list);
    bytes.extend(sum.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`seal`] has written.
fn open(cursor: &str, list: &str) -> Option<(i64, Vec<u8>)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (payload, sum) = bytes.split_last_chunk::<4>()?;
    let (first, rest) = payload.split_first_chunk::<8>()?;
    (u32::from_be_bytes(*sum) == checksum(payload, list))
        .then(|| (i64::from_be_bytes(*first), rest.to_vec()))
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    let at = DateTime::parse_from_rfc3339(text).map_err(D::Error::custom)?;
    Ok(at.to_utc())
}

/// Whether RFC 3339 can write the moment, which the database then knows too.
pub fn is_rfc_3339(at: DateTime<Utc>) -> bool {
    (0..=9999).contains(&at.year())
}

fn checksum(payload: &[u8], list: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(payload);
    hasher.update(list.as_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position {
            created_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap_or_default(),
            id: Uuid::now_v7(),
        }
    }

    #[test]
    fn a_cursor_is_read_back_in_its_own_list_only() {
        let cursor = position().encode("user=a");
        assert!(Position::decode(&cursor, "user=a").is_some());
        assert_eq!(Position::decode(&cursor, "user=b"), None);
    }

    #[test]
    fn a_cursor_of_the_feed_is_no_cursor_of_a_list() {
        let place = FeedPosition {
            position: 7,
            number: i64::MAX,
        };
        assert_eq!(FeedPosition::decode(&place.encode()), Some(place));
        assert_eq!(Position::decode(&place.encode(), FEED), None);
        assert_eq!(FeedPosition::decode(&position().encode(FEED)), None);
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        let cursor = position().encode("");
        for cut in 0..cursor.len() {
            let (head, tail) = cursor.split_at(cut);
            assert_eq!(Position::decode(head, ""), None);
            let swapped = if tail.starts_with('A') { "B" } else { "A" };
            let changed = format!("{head}{swapped}{}", tail.get(1..).unwrap_or_default());
            assert_eq!(Position::decode(&changed, ""), None, "at {cut}");
        }
    }
}
