//! Reading `spin.toml`, manifest version 2.
//!
//! What Spin refuses, this refuses: unknown keys, unknown variables in templates, a trigger for a
//! component that is not there. What Spin knows and the stand-in does not is refused as well,
//! by name, instead of being ignored.

mod raw;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::variables::Template;

/// A manifest that has been read and checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The application's name.
    pub name: String,
    /// The application's variables by name.
    pub variables: BTreeMap<String, Variable>,
    /// The one component.
    pub component: Component,
    /// The routes that lead to it, in the order of the manifest.
    pub routes: Vec<String>,
}

/// An entry of `[variables]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What the variable is for.
    pub description: Option<String>,
    /// Whether a value must come from outside.
    #[serde(default)]
    pub required: bool,
    /// The value when none comes from outside.
    pub default: Option<String>,
    /// Whether the value must stay out of sight.
    #[serde(default)]
    pub secret: bool,
}

/// The component that the application consists of.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name in the manifest.
    pub id: String,
    /// The WebAssembly file.
    pub source: PathBuf,
    /// The guest's variables: templates over the application's variables.
    pub variables: BTreeMap<String, Template>,
    /// Environment variables of the guest.
    pub environment: BTreeMap<String, String>,
    /// Where the guest may connect to: templates over the application's variables.
    pub allowed_outbound_hosts: Vec<Template>,
}

impl Manifest {
    /// Reads the manifest at this path (or `spin.toml` in it, when it is a folder).
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a manifest of version 2, or asks for something that the
    /// stand-in does not have.
    pub fn load(path: &Path) -> Result<Self> {
        let path = if path.is_dir() {
            path.join("spin.toml")
        } else {
            path.to_owned()
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the manifest {}", path.display()))?;
        let directory = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        Self::parse(&text, directory.unwrap_or(Path::new(".")))
            .with_context(|| format!("invalid manifest {}", path.display()))
    }

    /// Reads a manifest from its text, with paths relative to `directory`.
    ///
    /// # Errors
    ///
    /// As for [`Manifest::load`].
    pub fn parse(text: &str, directory: &Path) -> Result<Self> {
        toml::from_str::<raw::Manifest>(text)?.check(directory)
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
