//! Reading `spin.toml`, manifest version 2.
//!
//! What Spin refuses, this refuses: unknown keys, unknown variables in templates, a trigger for a
//! component that is not there. What Spin knows and the stand-in does not is refused as well,
//! by name, instead of being ignored.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::variables::{Template, validate_name};

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
    /// The folder of the manifest; paths in the manifest start here.
    pub directory: PathBuf,
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
    /// Files the guest may read.
    pub files: Vec<FilesMount>,
    /// Patterns of files that are left out of `files`.
    pub exclude_files: Vec<String>,
    /// Where the guest may connect to: templates over the application's variables.
    pub allowed_outbound_hosts: Vec<Template>,
}

/// An entry of a component's `files`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum FilesMount {
    /// A path or glob pattern; the files keep their relative paths.
    Pattern(String),
    /// A file or folder that appears under another name.
    Placement {
        /// Where it is, relative to the manifest.
        source: String,
        /// Where the guest sees it.
        destination: String,
    },
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
        let raw: RawManifest = toml::from_str(text)?;
        ensure!(
            raw.spin_manifest_version == 2,
            "spin_manifest_version is {}, only 2 is known",
            raw.spin_manifest_version
        );
        for (name, variable) in &raw.variables {
            validate_name(name).map_err(anyhow::Error::msg)?;
            ensure!(
                variable.required != variable.default.is_some(),
                "variable {name:?} must be `required` or have a `default`"
            );
        }
        let (routes, id) = read_triggers(raw.trigger)?;
        let mut components = raw.component;
        let component = components
            .remove(&id)
            .with_context(|| format!("the trigger names a component {id:?} that is not there"))?;
        if let Some(other) = components.keys().next() {
            bail!("the stand-in runs one component, {other:?} is another");
        }
        Ok(Self {
            name: raw.application.name,
            component: component.check(id, directory, &raw.variables)?,
            variables: raw.variables,
            routes,
            directory: directory.to_owned(),
        })
    }
}

/// Checks the HTTP triggers, and gives their routes and the component they lead to.
fn read_triggers(triggers: BTreeMap<String, Vec<RawTrigger>>) -> Result<(Vec<String>, String)> {
    let mut routes = Vec::new();
    let mut component = None;
    for (kind, entries) in triggers {
        ensure!(
            kind == "http",
            "the stand-in has no {kind:?} trigger, only \"http\""
        );
        for trigger in entries {
            if let Some(executor) = trigger.executor {
                let kind = executor.kind;
                ensure!(
                    kind == "http",
                    "the stand-in has no executor {kind:?}, only \"http\""
                );
            }
            let known = component.get_or_insert_with(|| trigger.component.clone());
            ensure!(
                *known == trigger.component,
                "the stand-in runs one component, {:?} is another",
                trigger.component
            );
            crate::routes::check(&trigger.route)?;
            routes.push(trigger.route);
        }
    }
    Ok((
        routes,
        component.context("the manifest has no [[trigger.http]]")?,
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: BTreeMap<String, Vec<RawTrigger>>,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

/// Known and harmless keys are read as [`Ignored`] so that no others pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "these keys say nothing to a host, but must be known"
)]
struct Application {
    name: String,
    version: Option<Ignored>,
    description: Option<Ignored>,
    authors: Option<Ignored>,
    targets: Option<Ignored>,
    trigger: Option<Ignored>,
    tool: Option<Ignored>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrigger {
    #[serde(rename = "id")]
    _id: Option<Ignored>,
    component: String,
    route: String,
    executor: Option<Executor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Executor {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    source: Source,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<FilesMount>,
    #[serde(default)]
    exclude_files: Vec<String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(rename = "description")]
    _description: Option<Ignored>,
    #[serde(rename = "targets")]
    _targets: Option<Ignored>,
    #[serde(rename = "build")]
    _build: Option<Build>,
    #[serde(rename = "tool")]
    _tool: Option<Ignored>,
    allowed_http_hosts: Option<Ignored>,
    key_value_stores: Option<Ignored>,
    sqlite_databases: Option<Ignored>,
    ai_models: Option<Ignored>,
    dependencies: Option<Ignored>,
    dependencies_inherit_configuration: Option<Ignored>,
    profile: Option<Ignored>,
}

/// `[component.<id>.build]`: for `spin build` and `spin watch`, checked and otherwise unused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only to refuse unknown keys")]
struct Build {
    command: toml::Value,
    workdir: Option<String>,
    watch: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
    Local(String),
    Elsewhere(#[expect(dead_code, reason = "refused whatever it says")] toml::Table),
}

/// A value of any type that nobody looks at.
#[derive(Debug)]
struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl RawComponent {
    fn check(
        self,
        id: String,
        directory: &Path,
        application: &BTreeMap<String, Variable>,
    ) -> Result<Component> {
        self.refuse_unsupported(&id)?;
        let Source::Local(source) = &self.source else {
            bail!("component {id:?} is not a local file, which is all that the stand-in loads");
        };
        let parse = |text: &str| -> Result<Template> {
            let template = Template::parse(text)?;
            for name in template.names() {
                ensure!(
                    application.contains_key(name),
                    "unknown variable {name:?} in {text:?}"
                );
            }
            Ok(template)
        };
        let mut variables = BTreeMap::new();
        for (name, text) in &self.variables {
            validate_name(name).map_err(anyhow::Error::msg)?;
            variables.insert(name.clone(), parse(text)?);
        }
        Ok(Component {
            source: directory.join(source),
            variables,
            environment: self.environment,
            files: self.files,
            exclude_files: self.exclude_files,
            allowed_outbound_hosts: self
                .allowed_outbound_hosts
                .iter()
                .map(|text| parse(text))
                .collect::<Result<_>>()?,
            id,
        })
    }

    fn refuse_unsupported(&self, id: &str) -> Result<()> {
        let unsupported = [
            ("allowed_http_hosts", &self.allowed_http_hosts),
            ("key_value_stores", &self.key_value_stores),
            ("sqlite_databases", &self.sqlite_databases),
            ("ai_models", &self.ai_models),
            ("dependencies", &self.dependencies),
            (
                "dependencies_inherit_configuration",
                &self.dependencies_inherit_configuration,
            ),
            ("profile", &self.profile),
        ];
        for (key, value) in unsupported {
            ensure!(
                value.is_none(),
                "component {id:?}: the stand-in does not have {key:?}"
            );
        }
        Ok(())
    }
}

impl fmt::Display for FilesMount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => formatter.write_str(pattern),
            Self::Placement {
                source,
                destination,
            } => write!(formatter, "{source} → {destination}"),
        }
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
