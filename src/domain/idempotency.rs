//! The key by which a client repeats a creation without creating twice.

use serde::Serialize;

use super::bounds::IDEMPOTENCY_KEY_MAX;

/// 1 to 255 visible ASCII characters, chosen by the client, unique among a user's orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a key as it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=IDEMPOTENCY_KEY_MAX).contains(&text.len()) {
            return Err(format!(
                "must have 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads the value of the header: the key, bare or as a string of RFC 9651.
    pub fn from_header(value: &str) -> Result<Self, String> {
        let value = value.trim_matches([' ', '\t']);
        let Some(quoted) = value.strip_prefix('"') else {
            return Self::parse(value);
        };
        let unquoted = unquote(quoted);
        let unquoted = unquoted.ok_or("must be a key, bare or in one pair of quotation marks")?;
        Self::parse(&unquoted)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rest of a quoted string, behind its first quotation mark.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => text.push(c),
        }
    }
    chars.next().is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bare_or_quoted() {
        for (value, key) in [
            ("k", "k"),
            (
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
            ),
            ("\"k\"", "k"),
            (" \"k\" ", "k"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("it's;a=key,with~all", "it's;a=key,with~all"),
        ] {
            let read = IdempotencyKey::from_header(value);
            assert_eq!(read, Ok(IdempotencyKey(key.into())), "{value}");
        }
        assert!(IdempotencyKey::from_header(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        for value in [
            "", " ", "\"\"", "\"", "\"k", "\"k\"x", "\"k\\\"", r#""\k""#, "a b", "\"a b\"", "é",
            &long,
        ] {
            assert!(IdempotencyKey::from_header(value).is_err(), "{value}");
        }
    }
}
