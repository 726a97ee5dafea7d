//! The built component: how large it is, and what it asks of the platform.

use std::collections::BTreeSet;
use std::fs;

use order_service_tests::artifacts;
use order_service_tests::environment::repository;
use wasmparser::{Parser, Payload};

/// What Spin 4.0.2 links into every component, as far as it may be useful here: packages with
/// their newest version. Within `0.2` an older version is provided too.
const PROVIDED_BY_SPIN_4_0_2: [(&str, &str); 14] = [
    ("spin:postgres", "4.2.0"),
    ("spin:redis", "3.0.0"),
    ("spin:variables", "3.0.0"),
    ("wasi:cli", "0.2.6"),
    ("wasi:clocks", "0.2.6"),
    ("wasi:filesystem", "0.2.6"),
    ("wasi:io", "0.2.6"),
    ("wasi:random", "0.2.6"),
    ("wasi:cli", "0.3.0-rc-2026-03-15"),
    ("wasi:clocks", "0.3.0-rc-2026-03-15"),
    ("wasi:filesystem", "0.3.0-rc-2026-03-15"),
    ("wasi:http", "0.3.0-rc-2026-03-15"),
    ("wasi:random", "0.3.0-rc-2026-03-15"),
    ("wasi:sockets", "0.3.0-rc-2026-03-15"),
];

/// A host fetches and compiles the component before it serves the first request. A third of a
/// megabyte of it verifies tokens, half a megabyte is `/docs`.
const SIZE_MAX: u64 = 2 * 1024 * 1024;

/// The names of the component's own imports and exports, without those of what is nested in it.
fn imports_and_exports(component: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a valid component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|it| it.unwrap().name.0.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|it| it.unwrap().name.0.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

/// The names after a keyword in `wit/world.wit`.
fn world(keyword: &str) -> BTreeSet<String> {
    let path = repository().join("wit/world.wit");
    let text = fs::read_to_string(path).expect("wit/world.wit");
    let lines = text.lines().map(str::trim);
    let names: BTreeSet<String> = lines
        .filter_map(|line| {
            line.strip_prefix(keyword)?
                .strip_prefix(' ')?
                .strip_suffix(';')
        })
        .map(str::to_owned)
        .collect();
    assert!(!names.is_empty(), "no {keyword} in wit/world.wit");
    names
}

#[test]
fn the_component_is_under_its_size() {
    let size = fs::metadata(artifacts::component())
        .expect("the component")
        .len();

    println!("the component has {size} bytes");
    assert!(size < SIZE_MAX, "{size} bytes");
}

#[test]
fn the_component_imports_and_exports_what_its_world_says() {
    let component = fs::read(artifacts::component()).expect("the component");

    let (imports, exports) = imports_and_exports(&component);

    let undeclared: Vec<_> = imports.difference(&world("import")).cloned().collect();
    assert!(
        undeclared.is_empty(),
        "not in wit/world.wit: {undeclared:#?}"
    );
    assert_eq!(exports, world("export"));
    assert!(
        imports.len() > 5,
        "it would be odd to import so little: {imports:?}"
    );
}

#[test]
fn everything_the_component_imports_is_provided_by_spin() {
    let component = fs::read(artifacts::component()).expect("the component");

    let (imports, _) = imports_and_exports(&component);

    for import in imports {
        let (interface, version) = import.split_once('@').expect("a version");
        let package = interface.split('/').next().unwrap_or_default();
        let is_provided = PROVIDED_BY_SPIN_4_0_2.iter().any(|(name, newest)| {
            let is_older_0_2 = version.starts_with("0.2.") && version <= *newest;
            *name == package && (version == *newest || is_older_0_2)
        });
        assert!(is_provided, "{import}");
    }
}
