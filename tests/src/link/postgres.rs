//! The frontend half of the Postgres protocol, as far as it tells which statements are executed.
//!
//! `Parse` names a statement and gives its SQL, `Bind` makes a portal of it, `Execute` runs the
//! portal; a simple `Query` does all at once. A statement counts when it is executed.

use std::collections::HashMap;

use super::Tap;

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
    sql_by_portal: HashMap<String, String>,
}

impl Tap for PostgresTap {
    fn read(&mut self, bytes: &[u8]) -> Vec<String> {
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

    fn understand(&mut self, kind: u8, payload: &[u8]) -> Option<String> {
        let mut texts = payload
            .split(|&byte| byte == 0)
            .map(String::from_utf8_lossy);
        let first = texts.next()?.into_owned();
        match kind {
            b'Q' => Some(first),
            b'P' => {
                self.sql_by_statement
                    .insert(first, texts.next()?.into_owned());
                None
            }
            b'B' => {
                let sql = self.sql_by_statement.get(texts.next()?.as_ref())?.clone();
                self.sql_by_portal.insert(first, sql);
                None
            }
            b'E' => self.sql_by_portal.get(&first).cloned(),
            _ => None,
        }
    }
}
