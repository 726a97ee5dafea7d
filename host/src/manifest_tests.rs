use super::*;

const HEAD: &str = r#"
spin_manifest_version = 2
[application]
name = "app"
version = "1.0.0"
[variables]
url = { default = "http://localhost" }
"#;

const TRIGGER: &str = r#"
[[trigger.http]]
route = "/..."
component = "app"
"#;

const COMPONENT: &str = r#"
[component.app]
source = "app.wasm"
"#;

fn parse(extra: &str) -> Result<Manifest> {
    Manifest::parse(
        &format!("{HEAD}{TRIGGER}{COMPONENT}{extra}"),
        Path::new("/app"),
    )
}

fn refusal(text: &str) -> String {
    format!(
        "{:#}",
        Manifest::parse(text, Path::new("/app")).unwrap_err()
    )
}

#[test]
fn a_full_manifest_is_read() {
    let manifest = parse(
        r#"
allowed_outbound_hosts = ["{{ url }}"]
environment = { RUST_LOG = "info" }
[component.app.variables]
url = "{{ url }}"
[component.app.build]
command = "cargo build"
watch = ["src/**/*.rs"]
[component.app.tool.anything]
goes = 1
"#,
    )
    .unwrap();
    assert_eq!(manifest.name, "app");
    assert_eq!(manifest.routes, ["/..."]);
    assert_eq!(manifest.component.source, Path::new("/app/app.wasm"));
    assert_eq!(manifest.component.environment["RUST_LOG"], "info");
}

#[test]
fn unknown_keys_are_refused_wherever_they_are() {
    let everywhere = [
        format!("frobnicate = 1\n{HEAD}{TRIGGER}{COMPONENT}"),
        format!("{HEAD}frobnicate = 1\n{TRIGGER}{COMPONENT}"),
        format!("{HEAD}{TRIGGER}frobnicate = 1\n{COMPONENT}"),
        format!("{HEAD}{TRIGGER}{COMPONENT}frobnicate = 1"),
        format!("{HEAD}{TRIGGER}{COMPONENT}[component.app.build]\ncommand = \"x\"\nfrobnicate = 1"),
    ];
    for text in everywhere {
        assert!(refusal(&text).contains("frobnicate"), "{text}");
    }
}

#[test]
fn what_the_stand_in_does_not_have_is_refused_by_name() {
    for key in ["files", "key_value_stores", "sqlite_databases", "ai_models"] {
        let error = format!(
            "{:#}",
            parse(&format!("{key} = [\"default\"]")).unwrap_err()
        );
        assert!(error.contains(key), "{error}");
    }
    let redis = "[[trigger.redis]]\nroute = \"/\"\ncomponent = \"app\"\n";
    assert!(refusal(&format!("{HEAD}{redis}{COMPONENT}")).contains("redis"));
}

#[test]
fn a_template_may_name_known_variables_only() {
    let error = parse("allowed_outbound_hosts = [\"{{ nope }}\"]").unwrap_err();
    assert!(error.to_string().contains("nope"));
}

#[test]
fn a_variable_is_required_or_has_a_default_but_not_both() {
    for variable in ["{ secret = true }", "{ required = true, default = \"x\" }"] {
        let text = format!("{HEAD}other = {variable}\n{TRIGGER}{COMPONENT}");
        assert!(refusal(&text).contains("other"), "{variable}");
    }
}

#[test]
fn a_trigger_must_lead_to_a_component_that_is_there() {
    assert!(refusal(&format!("{HEAD}{TRIGGER}")).contains("app"));
    assert!(refusal(&format!("{HEAD}{COMPONENT}")).contains("trigger.http"));
}

#[test]
fn only_version_two_is_known() {
    let text = format!("{HEAD}{TRIGGER}{COMPONENT}").replace("version = 2", "version = 1");
    assert!(refusal(&text).contains("spin_manifest_version"));
}
