//! Reading a JSON body field by field, so that all its problems are found at once.
//!
//! `serde` stops at the first problem and turns numbers into floating point. Here every
//! value stays the text that was sent until its field's rule reads it.

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bounds::BODY_NESTING_MAX;
use super::money::Money;
use super::number;
use super::problem::{Problem, TextRule};

/// The body is not JSON: nothing can be said about its fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotJson(String);

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The problems found in one body so far.
#[derive(Debug)]
pub struct Reader<'a> {
    body: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Parses the body as far as its outermost value, an object.
    ///
    /// # Errors
    /// The text is not one JSON value, nested too deeply, or an object names a key twice.
    pub fn open(body: &'a str) -> Result<(Self, Object<'a>), NotJson> {
        if is_too_deep(body) {
            let reason = format!("it is nested deeper than {BODY_NESTING_MAX} levels");
            return Err(NotJson(reason));
        }
        let raw: &RawValue = serde_json::from_str(body)?;
        let mut reader = Self {
            body,
            problems: Vec::new(),
        };
        let object = reader.object(raw, String::new())?.unwrap_or(Object {
            pointer: String::new(),
            fields: Vec::new(),
            end: 0,
            complete: false,
        });
        Ok((reader, object))
    }

    /// All problems, in the order of the document.
    pub fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.offset);
        self.problems
    }

    /// Reports that `raw` (at `pointer`) breaks a rule.
    pub fn report(&mut self, raw: &RawValue, pointer: &str, code: &'static str, message: String) {
        let offset = self.offset(raw);
        self.problems.push(Problem {
            offset,
            ..Problem::new(pointer, code, message)
        });
    }

    /// The object in `raw`, or nothing (and a problem) if it is something else.
    pub fn object(
        &mut self,
        raw: &'a RawValue,
        pointer: String,
    ) -> Result<Option<Object<'a>>, NotJson> {
        if !raw.get().starts_with('{') {
            self.report(raw, &pointer, "wrong_type", "must be an object".into());
            return Ok(None);
        }
        let Fields(fields) = serde_json::from_str(raw.get())?;
        let end = self.offset(raw).saturating_add(raw.get().len());
        Ok(Some(Object {
            pointer,
            fields,
            end,
            complete: true,
        }))
    }

    fn offset(&self, raw: &RawValue) -> usize {
        // The raw value borrows from the body, so its address tells where it stands.
        raw.get()
            .as_ptr()
            .addr()
            .saturating_sub(self.body.as_ptr().addr())
    }
}

/// Whether arrays and objects are nested too deeply, also in fields that nobody reads.
fn is_too_deep(body: &str) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in body.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth = depth.saturating_add(1),
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BODY_NESTING_MAX {
            return true;
        }
    }
    false
}

/// A JSON object whose values have not been read yet.
#[derive(Debug)]
pub struct Object<'a> {
    pointer: String,
    fields: Vec<(String, &'a RawValue)>,
    /// Where the object ends in the body: the place of what is missing.
    end: usize,
    /// False for the stand-in of something that was no object: nothing is missing in it.
    complete: bool,
}

impl<'a> Object<'a> {
    /// The value of a field that may be absent; `null` counts as absent.
    fn optional(&self, name: &str) -> Option<(&'a RawValue, String)> {
        let (_, raw) = self.fields.iter().find(|(key, _)| key == name)?;
        (raw.get() != "null").then(|| (*raw, self.pointer_to(name)))
    }

    /// The value of a field that must be there.
    pub fn required(&self, name: &str, reader: &mut Reader<'_>) -> Option<(&'a RawValue, String)> {
        let found = self.optional(name);
        if found.is_none() && self.complete {
            let null = self.fields.iter().find(|(key, _)| key == name);
            let offset = null.map_or(self.end, |(_, raw)| reader.offset(raw));
            reader.problems.push(Problem {
                offset,
                ..Problem::new(self.pointer_to(name), "required", "is required")
            });
        }
        found
    }

    /// A text that must be there and keep the rule.
    pub fn required_text(
        &self,
        name: &str,
        rule: TextRule,
        reader: &mut Reader<'_>,
    ) -> Result<Option<String>, NotJson> {
        match self.required(name, reader) {
            Some((raw, pointer)) => read_text(raw, &pointer, rule, reader),
            None => Ok(None),
        }
    }

    /// A text that may be absent, but keeps the rule if it is there.
    pub fn optional_text(
        &self,
        name: &str,
        rule: TextRule,
        reader: &mut Reader<'_>,
    ) -> Result<Option<String>, NotJson> {
        match self.optional(name) {
            Some((raw, pointer)) => read_text(raw, &pointer, rule, reader),
            None => Ok(None),
        }
    }

    /// An amount of money, as a number or a string, that may be absent.
    pub fn optional_money(&self, name: &str, reader: &mut Reader<'_>) -> Option<Money> {
        let (raw, pointer) = self.optional(name)?;
        let amount = Money::read(raw).ok();
        if amount.is_none() {
            let message = format!(
                "must be an amount from 0 to {} with two decimals",
                Money::MAX
            );
            reader.report(raw, &pointer, "invalid_amount", message);
        }
        amount
    }

    /// A whole number from 1 to `max` that must be there.
    pub fn required_count(&self, name: &str, max: i32, reader: &mut Reader<'_>) -> Option<i32> {
        let (raw, pointer) = self.required(name, reader)?;
        let Some(number) = JsonNumber::read(raw.get()) else {
            reader.report(raw, &pointer, "wrong_type", "must be an integer".into());
            return None;
        };
        match number {
            JsonNumber::Whole(count) if (1..=max).contains(&count) => Some(count),
            JsonNumber::Fraction => {
                reader.report(raw, &pointer, "wrong_type", "must be an integer".into());
                None
            }
            _ => {
                let message = format!("must be between 1 and {max}");
                reader.report(raw, &pointer, "out_of_range", message);
                None
            }
        }
    }

    /// The elements, with their pointers, of an array of 1 to `max` that must be there.
    pub fn required_array(
        &self,
        name: &str,
        max: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Vec<(&'a RawValue, String)>, NotJson> {
        let Some((raw, pointer)) = self.required(name, reader) else {
            return Ok(Vec::new());
        };
        if !raw.get().starts_with('[') {
            reader.report(raw, &pointer, "wrong_type", "must be an array".into());
            return Ok(Vec::new());
        }
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get())?;
        if elements.is_empty() {
            let message = "must have at least one element".into();
            reader.report(raw, &pointer, "too_few_items", message);
        }
        if elements.len() > max {
            let message = format!("must have at most {max} elements");
            reader.report(raw, &pointer, "too_many_items", message);
            return Ok(Vec::new());
        }
        let pointers = (0..).map(|index: usize| format!("{pointer}/{index}"));
        Ok(elements.into_iter().zip(pointers).collect())
    }

    fn pointer_to(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }
}

fn read_text(
    raw: &RawValue,
    pointer: &str,
    rule: TextRule,
    reader: &mut Reader<'_>,
) -> Result<Option<String>, NotJson> {
    if !raw.get().starts_with('"') {
        reader.report(raw, pointer, "wrong_type", "must be a string".into());
        return Ok(None);
    }
    let text: String = serde_json::from_str(raw.get())?;
    match rule.check(&text) {
        Some((code, message)) => {
            reader.report(raw, pointer, code, message);
            Ok(None)
        }
        None => Ok(Some(text)),
    }
}

/// A JSON number as far as a count is concerned. `2.0` is a whole number, as in JSON Schema.
enum JsonNumber {
    Whole(i32),
    Fraction,
    Huge,
}

impl JsonNumber {
    fn read(text: &str) -> Option<Self> {
        if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return None;
        }
        Some(match number::exact(text) {
            Ok(decimal) if decimal.is_integer() => {
                i32::try_from(decimal).map_or(Self::Huge, Self::Whole)
            }
            Ok(_) => Self::Fraction,
            // Only a number beyond the precision of `Decimal` is left.
            Err(_) => Self::Huge,
        })
    }
}

/// The fields of an object, in document order; a key that comes twice is an error.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(String, &'de RawValue)> = Vec::new();
                let mut keys = std::collections::HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if !keys.insert(key.clone()) {
                        return Err(A::Error::custom("an object names a key twice"));
                    }
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_limited_where_it_is_nesting() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!is_too_deep(&nested(BODY_NESTING_MAX)));
        assert!(is_too_deep(&nested(BODY_NESTING_MAX + 1)));
        let text = format!(r#"{{"a":"\"{}\\"}}"#, "[".repeat(100));
        assert!(!is_too_deep(&text), "{text}");
        let behind = format!(r#"{{"a":"\\","b":{}}}"#, nested(BODY_NESTING_MAX));
        assert!(is_too_deep(&behind), "{behind}");
        let wide = format!("[{}]", "[],".repeat(1000));
        assert!(!is_too_deep(&wide));
    }
}
