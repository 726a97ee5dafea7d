//! The modules of `src/` use each other in one direction only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use order_service_tests::environment::repository;

/// Made for tests, and used there only.
const IGNORED: &str = "openapi";

/// For each top-level module the others that it names with `crate::`.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let mut uses = BTreeMap::new();
    for entry in std::fs::read_dir(repository().join("src")).expect("a folder of code") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name != "lib" && name != IGNORED {
            collect(&path, uses.entry(name).or_default());
        }
    }
    let modules: BTreeSet<String> = uses.keys().cloned().collect();
    for (module, used) in &mut uses {
        used.retain(|name| name != module && modules.contains(name));
    }
    uses
}

fn collect(path: &Path, used: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder of code") {
            collect(&entry.expect("an entry").path(), used);
        }
        return;
    }
    let code = std::fs::read_to_string(path).expect("readable code");
    let code: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    for names in code.join(" ").split("crate::").skip(1) {
        // One name, or several in braces.
        let names = match names.strip_prefix('{') {
            Some(names) => names.split('}').next().unwrap_or_default(),
            None => names.split([':', ';', ',']).next().unwrap_or_default(),
        };
        used.extend(names.split(',').map(|name| name.trim().to_owned()));
    }
}

#[test]
fn no_module_uses_one_that_uses_it() {
    let mut uses = uses();
    assert!(uses["http"].contains("telemetry"), "{uses:?}");
    // Take away what uses nothing that is left; a circle stays.
    while let Some(free) = uses
        .iter()
        .find_map(|(name, used)| used.is_empty().then(|| name.clone()))
    {
        uses.remove(&free);
        for used in uses.values_mut() {
            used.remove(&free);
        }
    }
    assert_eq!(uses, BTreeMap::new());
}
