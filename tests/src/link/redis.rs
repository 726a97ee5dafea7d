//! The client half of the Redis protocol: arrays of strings, each a command.

use super::{Request, Tap};

/// What clients send on a new connection of their own accord.
pub(super) fn is_housekeeping(command: &str) -> bool {
    let word = command.split(' ').next().unwrap_or_default();
    ["HELLO", "CLIENT", "AUTH", "SELECT"].contains(&word)
}

#[derive(Default)]
pub(super) struct RedisTap {
    unread: Vec<u8>,
}

impl Tap for RedisTap {
    fn read(&mut self, bytes: &[u8]) -> Vec<Request> {
        self.unread.extend_from_slice(bytes);
        let mut commands = Vec::new();
        while let Some((command, length)) = first_command(&self.unread) {
            self.unread.drain(..length);
            commands.push(Request {
                text: command,
                parameters: Vec::new(),
            });
        }
        commands
    }
}

/// The first whole command, its words joined by spaces and the first in upper case, and how many
/// bytes it took.
fn first_command(bytes: &[u8]) -> Option<(String, usize)> {
    let (words, mut position) = number_after(b'*', bytes, 0)?;
    let mut command = String::new();
    for index in 0..words {
        let (length, start) = number_after(b'$', bytes, position)?;
        let word = String::from_utf8_lossy(bytes.get(start..start + length)?);
        match index {
            0 => command.push_str(&word.to_uppercase()),
            _ => command.extend([" ", &word]),
        }
        position = start + length + 2;
    }
    (position <= bytes.len()).then_some((command, position))
}

/// The number in a line such as `*3\r\n`, and where the next line begins.
fn number_after(marker: u8, bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let line = bytes.get(start..)?;
    let length = line.windows(2).position(|pair| pair == b"\r\n")?;
    let digits = line[..length].strip_prefix(&[marker])?;
    Some((
        std::str::from_utf8(digits).ok()?.parse().ok()?,
        start + length + 2,
    ))
}
