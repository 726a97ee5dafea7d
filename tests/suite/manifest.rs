//! `spin.toml`: every variable has a use, every secret is one, and no host is allowed in vain.

use std::collections::BTreeSet;
use std::path::Path;

use order_service_tests::environment::repository;
use spin_standin::manifest::Manifest;

fn manifest() -> Manifest {
    Manifest::load(&repository().join("spin.toml")).expect("a manifest that Spin accepts")
}

#[test]
fn every_variable_of_the_application_is_used() {
    let manifest = manifest();

    let component = &manifest.component;
    let templates = component
        .variables
        .values()
        .chain(&component.allowed_outbound_hosts);
    let used: BTreeSet<&str> = templates.flat_map(|template| template.names()).collect();

    let declared: BTreeSet<&str> = manifest.variables.keys().map(String::as_str).collect();
    assert_eq!(used, declared);
}

#[test]
fn every_setting_of_the_component_is_read_by_its_code() {
    let manifest = manifest();
    let mut code = String::new();
    collect_code(&repository().join("src"), &mut code);

    let variables = manifest.component.variables;
    assert_eq!(variables.keys().collect::<Vec<_>>(), ["settings"]);
    for name in variables["settings"].names() {
        assert!(
            code.contains(&format!("\"{name}\"")),
            "{name} is read nowhere"
        );
    }
}

fn collect_code(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder of code") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_code(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path).expect("readable code"));
        }
    }
}

#[test]
fn what_contains_a_password_is_secret_and_has_no_default() {
    let manifest = manifest();

    for name in ["auth_secret", "database_read_url"] {
        assert!(manifest.variables[name].secret, "{name}");
    }
    for name in ["database_url", "redis_url"] {
        let variable = &manifest.variables[name];
        assert!(
            variable.secret && variable.required && variable.default.is_none(),
            "{name}"
        );
    }
}

#[test]
fn only_the_three_dependencies_a_replica_and_the_keys_of_tokens_may_be_reached() {
    let manifest = manifest();

    let text = std::fs::read_to_string(repository().join("spin.toml")).unwrap();
    assert_eq!(manifest.component.allowed_outbound_hosts.len(), 6);
    let hosts = text
        .split("allowed_outbound_hosts")
        .nth(1)
        .unwrap()
        .split(']')
        .next()
        .unwrap();
    assert!(!hosts.contains('*'), "{hosts}");
}

#[test]
fn every_path_leads_to_the_component() {
    assert_eq!(manifest().routes, ["/..."]);
}
