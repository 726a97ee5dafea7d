//! The frontend half of the Postgres protocol, as far as it tells which statements are executed.
//!
//! `Parse` names a statement and gives its SQL, `Bind` makes a portal of it, `Execute` runs the
//! portal; a simple `Query` does all at once. A statement counts when it is executed.

use std::collections::HashMap;

use super::{Request, Tap};

/// What the host's pool sends to make a connection usable again, and no component.
pub(super) fn is_housekeeping(sql: &str) -> bool {
    let sql = sql.trim();
    sql.is_empty() || sql.starts_with("CLOSE ALL;") || sql.starts_with("DISCARD ALL")
}

#[derive(Default)]
pub(super) struct PostgresTap {
    unread: Vec<u8>,
    is_started: bool,
    sql_by_statement: HashMap<String, String>,
    portals: HashMap<String, Request>,
}

impl Tap for PostgresTap {
    fn read(&mut self, bytes: &[u8]) -> Vec<Request> {
        self.unread.extend_from_slice(bytes);
        let mut executed = Vec::new();
        while let Some((kind, payload)) = self.next_message() {
            executed.extend(self.understand(kind, &payload));
        }
        executed
    }
}

impl PostgresTap {
    /// The next whole message: its kind (0 for those of the start, which have none) and content.
    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind_bytes = usize::from(self.is_started);
        let length_bytes = self.unread.get(kind_bytes..kind_bytes + 4)?;
        let length = u32::from_be_bytes(length_bytes.try_into().ok()?) as usize;
        let end = kind_bytes + length;
        let payload = self.unread.get(kind_bytes + 4..end)?.to_vec();
        let kind = if self.is_started { self.unread[0] } else { 0 };
        self.unread.drain(..end);
        // Requests for encryption are 8 bytes long and come before the real start.
        self.is_started |= length > 8;
        Some((kind, payload))
    }

    fn understand(&mut self, kind: u8, payload: &[u8]) -> Option<Request> {
        let (first, rest) = text(payload)?;
        match kind {
            b'Q' => Some(Request {
                text: first,
                parameters: Vec::new(),
            }),
            b'P' => {
                self.sql_by_statement.insert(first, text(rest)?.0);
                None
            }
            b'B' => {
                let (statement, rest) = text(rest)?;
                let request = Request {
                    text: self.sql_by_statement.get(&statement)?.clone(),
                    parameters: parameters(rest)?,
                };
                self.portals.insert(first, request);
                None
            }
            b'E' => self.portals.get(&first).cloned(),
            _ => None,
        }
    }
}

/// The text up to the next zero byte, and what follows it.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let length = bytes.iter().position(|&byte| byte == 0)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    Some((text.into_owned(), &bytes[length + 1..]))
}

/// The values of a `Bind`, which come after a list of their formats.
fn parameters(bytes: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let (formats, bytes) = bytes.split_first_chunk()?;
    let bytes = bytes.get(2 * usize::from(u16::from_be_bytes(*formats))..)?;
    let (count, mut bytes) = bytes.split_first_chunk()?;
    let mut parameters = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, rest) = bytes.split_first_chunk()?;
        // A negative length is that of null.
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (value, rest) = rest.split_at_checked(length.unwrap_or(0))?;
        parameters.push(length.is_some().then(|| value.to_vec()));
        bytes = rest;
    }
    Some(parameters)
}
