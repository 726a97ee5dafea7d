//! Application variables: where their values come from, and templates that name them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use anyhow::{Context as _, Result, bail};

use crate::manifest::{Manifest, Variable};

/// Environment variables with this prefix give application variables their values.
const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE_";

/// A text with `{{ name }}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name(String),
}

impl Template {
    /// Takes a text apart.
    ///
    /// # Errors
    ///
    /// Braces are opened and not closed.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, opened)) = rest.split_once("{{") {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let (name, after) = opened
                .split_once("}}")
                .with_context(|| format!("\"{{{{\" without \"}}}}\" in {text:?}"))?;
            parts.push(Part::Name(name.trim().to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The variables it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    fn fill(&self, values: &BTreeMap<String, String>) -> Result<String> {
        let mut filled = String::new();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Name(name) => values
                    .get(name)
                    .with_context(|| format!("unknown variable {name:?}"))?,
            });
        }
        Ok(filled)
    }
}

/// The values an application runs with. Its debug form shows names only.
pub struct Variables {
    component: HashMap<String, String>,
    allowed_outbound_hosts: Vec<String>,
}

impl Variables {
    /// Finds a value for every variable: first among `given`, then in the environment, then the
    /// default in the manifest.
    ///
    /// # Errors
    ///
    /// A variable has no value, or `given` names one that the manifest does not have. The error
    /// names the variable and never shows a value.
    pub fn resolve(
        manifest: &Manifest,
        given: &HashMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        if let Some(name) = given
            .keys()
            .find(|name| !manifest.variables.contains_key(*name))
        {
            bail!("the manifest has no variable {name:?}");
        }
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, variable) in &manifest.variables {
            match find(name, variable, given, &environment) {
                Some(value) => drop(values.insert(name.clone(), value)),
                None => missing.push(name.as_str()),
            }
        }
        if let Some(first) = missing.first() {
            bail!(
                "no value for required variable(s) {}: set {ENVIRONMENT_PREFIX}{} or --variable {first}=…",
                missing.join(", "),
                first.to_ascii_uppercase(),
            );
        }
        let component = &manifest.component;
        Ok(Self {
            component: component
                .variables
                .iter()
                .map(|(name, template)| Ok((name.clone(), template.fill(&values)?)))
                .collect::<Result<_>>()?,
            allowed_outbound_hosts: component
                .allowed_outbound_hosts
                .iter()
                .map(|template| template.fill(&values))
                .collect::<Result<_>>()?,
        })
    }

    /// What the guest gets for this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.component.get(name).map(String::as_str)
    }

    /// The component's `allowed_outbound_hosts`, filled in.
    #[must_use]
    pub fn allowed_outbound_hosts(&self) -> &[String] {
        &self.allowed_outbound_hosts
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.component.keys())
            .finish()
    }
}

fn find(
    name: &str,
    variable: &Variable,
    given: &HashMap<String, String>,
    environment: &impl Fn(&str) -> Option<String>,
) -> Option<String> {
    given
        .get(name)
        .cloned()
        .or_else(|| {
            environment(&format!(
                "{ENVIRONMENT_PREFIX}{}",
                name.to_ascii_uppercase()
            ))
        })
        .or_else(|| variable.default.clone())
}

/// Checks a variable's name by Spin's rules.
///
/// # Errors
///
/// The reason why the name is not valid.
pub fn validate_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let reason = if name.is_empty() {
        "must not be empty"
    } else if !name.chars().all(allowed) {
        "may contain only lower-case letters, digits and underscores"
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "must start with a lower-case letter"
    } else if name.ends_with('_') {
        "must end with a letter or digit"
    } else if name.contains("__") {
        "must not contain two underscores in a row"
    } else {
        return Ok(());
    };
    Err(format!("variable name {name:?} {reason}"))
}

#[cfg(test)]
#[path = "variables_tests.rs"]
mod tests;
