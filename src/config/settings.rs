//! The settings as texts, before anybody has made sense of them.

use core::str::FromStr;

use super::BadVariable;

/// Stands between the settings; no value has it.
const SEPARATOR: char = '\u{1e}';

/// The name and the value of each.
#[derive(Debug)]
pub struct Settings<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Settings<'a> {
    /// Reads what `spin.toml` makes of them.
    pub fn parse(text: &'a str) -> Self {
        let settings = text.split(SEPARATOR).filter_map(|it| it.split_once('='));
        Self(settings.collect())
    }

    pub fn text(&self, name: &'static str) -> Result<&'a str, BadVariable> {
        let mut named = self.0.iter().filter(|(it, _)| *it == name);
        match (named.next(), named.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(BadVariable::new(name, "is missing")),
            // One of them is a part of another setting's value.
            _ => Err(BadVariable::new(name, "is there twice")),
        }
    }

    /// `None` if it is empty.
    pub fn optional(&self, name: &'static str) -> Result<Option<String>, BadVariable> {
        let value = self.text(name)?;
        Ok((!value.is_empty()).then(|| value.to_owned()))
    }

    pub fn required(&self, name: &'static str) -> Result<String, BadVariable> {
        let value = self.optional(name)?;
        value.ok_or_else(|| BadVariable::new(name, "must not be empty"))
    }

    pub fn parsed<T: FromStr<Err: ToString>>(&self, name: &'static str) -> Result<T, BadVariable> {
        let value = self.text(name)?.parse();
        value.map_err(|error: T::Err| BadVariable::new(name, error.to_string()))
    }

    /// A whole number from 1.
    pub fn number<T: FromStr<Err: ToString> + PartialOrd + From<u8>>(
        &self,
        name: &'static str,
    ) -> Result<T, BadVariable> {
        let number: T = self.parsed(name)?;
        if number < T::from(1) {
            return Err(BadVariable::new(name, "must be at least 1"));
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_have_several_lines_and_signs_of_equality() {
        let settings = Settings::parse("a=1\u{1e}b=x=y\nz=\u{1e}c=\u{1e}");
        assert_eq!(settings.text("b").ok(), Some("x=y\nz="));
        assert_eq!(settings.number::<u8>("a").ok(), Some(1));
        assert_eq!(settings.optional("c").ok(), Some(None));
        assert!(settings.required("c").is_err());
        assert!(settings.text("d").is_err());
    }

    #[test]
    fn a_setting_in_anothers_value_is_refused() {
        let settings = Settings::parse("a=x\u{1e}b=y\u{1e}b=z");
        assert!(settings.text("b").is_err());
    }
}
