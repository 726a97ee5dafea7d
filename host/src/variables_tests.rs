use std::path::Path;

use super::*;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "app"
[variables]
database_url = { required = true, secret = true }
api_host = { default = "127.0.0.1:9000" }
[[trigger.http]]
route = "/..."
component = "app"
[component.app]
source = "app.wasm"
allowed_outbound_hosts = ["http://{{ api_host }}", "redis://localhost"]
[component.app.variables]
database_url = "{{ database_url }}"
api = "http://{{api_host}}/{{ api_host }}"
"#;

fn resolve(given: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Variables> {
    let manifest = Manifest::parse(MANIFEST, Path::new(".")).unwrap();
    let own = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let environment = own(environment);
    Variables::resolve(&manifest, &own(given), |name| {
        environment.get(name).cloned()
    })
}

#[test]
fn templates_are_filled_from_defaults() {
    let variables = resolve(&[("database_url", "postgres://x")], &[]).unwrap();
    assert_eq!(
        variables.get("api"),
        Some("http://127.0.0.1:9000/127.0.0.1:9000")
    );
    assert_eq!(variables.get("database_url"), Some("postgres://x"));
    assert_eq!(
        variables.get("api_host"),
        None,
        "only the component's own table counts"
    );
    let hosts = variables.allowed_outbound_hosts();
    assert_eq!(hosts, ["http://127.0.0.1:9000", "redis://localhost"]);
}

#[test]
fn a_given_value_wins_over_the_environment_and_that_over_the_default() {
    let environment = [
        ("SPIN_VARIABLE_DATABASE_URL", "env"),
        ("SPIN_VARIABLE_API_HOST", "env:1"),
    ];
    let variables = resolve(&[("database_url", "given")], &environment).unwrap();
    assert_eq!(variables.get("database_url"), Some("given"));
    assert_eq!(variables.get("api"), Some("http://env:1/env:1"));
}

#[test]
fn a_required_variable_without_a_value_is_named_on_one_line() {
    let error = resolve(&[], &[]).unwrap_err().to_string();
    assert!(error.contains("database_url"), "{error}");
    assert!(error.contains("SPIN_VARIABLE_DATABASE_URL"), "{error}");
    assert!(!error.contains('\n'));
}

#[test]
fn an_unknown_variable_is_refused() {
    let error = resolve(&[("database_url", "x"), ("nope", "x")], &[]).unwrap_err();
    assert!(error.to_string().contains("nope"));
}

#[test]
fn values_do_not_show_in_debug_output() {
    let variables = resolve(&[("database_url", "postgres://secret")], &[]).unwrap();
    let shown = format!("{variables:?}");
    assert!(
        shown.contains("database_url") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn a_template_must_close_its_braces() {
    assert!(Template::parse("{{ a }} {{ b").is_err());
    let template = Template::parse("{{a}}-{{ b }}").unwrap();
    assert_eq!(template.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn names_follow_spins_rules() {
    for good in ["a", "a1", "a_b", "database_url"] {
        assert_eq!(validate_name(good), Ok(()), "{good}");
    }
    for bad in ["", "A", "1a", "_a", "a_", "a__b", "a-b", "ä"] {
        assert!(validate_name(bad).is_err(), "{bad}");
    }
}
