//! What is wrong with a request, said so that a program and a person can act on it.

use serde::Serialize;

/// One reason why an input was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Problem {
    /// JSON pointer into the body; for a query parameter its name after a slash.
    pub pointer: String,
    pub code: &'static str,
    pub message: String,
    /// Where in the body the problem is; problems are reported in this order.
    #[serde(skip)]
    pub offset: usize,
}

impl Problem {
    pub fn new(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code,
            message: message.into(),
            offset: 0,
        }
    }
}

/// What may be in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRule {
    /// Longest text, in characters.
    pub max: usize,
    /// Whether line breaks and tabs are allowed.
    pub multiline: bool,
    /// Whether a text without a visible character is allowed.
    pub blank: bool,
}

impl TextRule {
    /// A name on one line, such as an identifier of another service.
    pub const fn line(max: usize) -> Self {
        Self {
            max,
            multiline: false,
            blank: false,
        }
    }

    /// A text of several lines, such as an address.
    pub const fn lines(max: usize) -> Self {
        Self {
            max,
            multiline: true,
            blank: false,
        }
    }

    /// A remark, which may be empty.
    pub const fn remark(max: usize) -> Self {
        Self {
            max,
            multiline: true,
            blank: true,
        }
    }

    /// The code and message of what is wrong with `text`, if anything is.
    pub fn check(self, text: &str) -> Option<(&'static str, String)> {
        if !self.blank && text.trim().is_empty() {
            return Some(("blank", "must not be blank".into()));
        }
        let allowed = |c: char| self.multiline && matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(|c| c.is_control() && !allowed(c)) {
            return Some((
                "control_character",
                "must not contain control characters".into(),
            ));
        }
        if text.chars().count() > self.max {
            return Some((
                "too_long",
                format!("must have at most {} characters", self.max),
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_measured_in_characters_not_bytes() {
        assert_eq!(TextRule::line(3).check("äöü"), None);
        assert!(TextRule::line(3).check("äöüß").is_some());
    }

    #[test]
    fn line_breaks_belong_into_addresses_only() {
        assert_eq!(TextRule::lines(10).check("a\nb"), None);
        assert!(TextRule::line(10).check("a\nb").is_some());
        assert!(TextRule::lines(10).check("a\u{0}b").is_some());
    }
}
