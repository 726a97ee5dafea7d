//! The manifest as it is written, before it has been checked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::Variable;
use crate::routes;
use crate::variables::{Template, validate_name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: BTreeMap<String, Vec<Trigger>>,
    #[serde(default)]
    component: BTreeMap<String, Component>,
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
struct Trigger {
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
struct Component {
    source: Source,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
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
    files: Option<Ignored>,
    exclude_files: Option<Ignored>,
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

impl Manifest {
    /// Checks what the types do not, and makes the manifest that others work with.
    pub fn check(self, directory: &Path) -> Result<super::Manifest> {
        ensure!(
            self.spin_manifest_version == 2,
            "spin_manifest_version is {}, only 2 is known",
            self.spin_manifest_version
        );
        for (name, variable) in &self.variables {
            validate_name(name).map_err(anyhow::Error::msg)?;
            ensure!(
                variable.required != variable.default.is_some(),
                "variable {name:?} must be `required` or have a `default`"
            );
        }
        let (routes, id) = read_triggers(self.trigger)?;
        let mut components = self.component;
        let component = components
            .remove(&id)
            .with_context(|| format!("the trigger names a component {id:?} that is not there"))?;
        if let Some(other) = components.keys().next() {
            bail!("the stand-in runs one component, {other:?} is another");
        }
        Ok(super::Manifest {
            name: self.application.name,
            component: component.check(id, directory, &self.variables)?,
            variables: self.variables,
            routes,
        })
    }
}

/// Checks the HTTP triggers, and gives their routes and the component they lead to.
fn read_triggers(triggers: BTreeMap<String, Vec<Trigger>>) -> Result<(Vec<String>, String)> {
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
            routes::check(&trigger.route)?;
            routes.push(trigger.route);
        }
    }
    Ok((
        routes,
        component.context("the manifest has no [[trigger.http]]")?,
    ))
}

impl Component {
    fn check(
        self,
        id: String,
        directory: &Path,
        application: &BTreeMap<String, Variable>,
    ) -> Result<super::Component> {
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
        Ok(super::Component {
            source: directory.join(source),
            variables,
            environment: self.environment,
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
            ("files", &self.files),
            ("exclude_files", &self.exclude_files),
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
