//! Prepares the bindings of the Spin interfaces that `wit/world.wit` imports.
//!
//! Their WIT packages are taken from the Spin SDK that the component is built with, so that host
//! and guest cannot disagree about them and no second copy is kept. The WASI interfaces need no
//! bindings of ours: Wasmtime brings its own.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

type BuildResult<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> BuildResult<()> {
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let world = workspace.join("wit/world.wit");
    for input in [
        &world,
        &workspace.join("Cargo.toml"),
        &workspace.join("Cargo.lock"),
    ] {
        println!("cargo:rerun-if-changed={}", input.display());
    }

    let imports = spin_imports(&fs::read_to_string(&world)?);
    let sdk = sdk_directory(&workspace)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let wit = out.join("wit");
    write_wit(&imports, &sdk, &wit)?;
    fs::write(out.join("bindings.rs"), bindings_source(&wit))?;
    Ok(())
}

/// The `spin:*` interfaces that the world imports, such as `spin:redis/redis@3.0.0`.
fn spin_imports(world: &str) -> Vec<String> {
    world
        .lines()
        .filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'))
        .filter(|interface| interface.starts_with("spin:"))
        .map(str::to_owned)
        .collect()
}

/// Where cargo keeps the Spin SDK that the component depends on.
fn sdk_directory(workspace: &Path) -> BuildResult<PathBuf> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace.join("Cargo.toml"))
        // The SDK is a dependency of the component only, and other platforms' crates would have
        // to be downloaded for nothing.
        .other_options(["--filter-platform".to_owned(), "wasm32-wasip2".to_owned()])
        .exec()?;
    let sdk = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "spin-sdk")
        .ok_or("the workspace does not depend on spin-sdk")?;
    let directory = sdk.manifest_path.parent().ok_or("spin-sdk has no folder")?;
    Ok(directory.as_std_path().to_owned())
}

/// Lays out a world with these imports, and the packages they come from, for `bindgen!`.
fn write_wit(imports: &[String], sdk: &Path, wit: &Path) -> BuildResult<()> {
    if wit.exists() {
        fs::remove_dir_all(wit)?;
    }
    fs::create_dir_all(wit.join("deps"))?;
    let mut world = String::from("package standin:host;\n\nworld spin {\n");
    for import in imports {
        writeln!(world, "    import {import};")?;
        let package =
            package_folder(import).ok_or_else(|| format!("unexpected import {import}"))?;
        copy_folder(
            &sdk.join("wit/deps").join(&package),
            &wit.join("deps").join(&package),
        )?;
    }
    world.push_str("}\n");
    fs::write(wit.join("world.wit"), world)?;
    Ok(())
}

/// The SDK's folder for an interface: `spin:redis/redis@3.0.0` lies in `spin-redis@3.0.0`.
fn package_folder(import: &str) -> Option<String> {
    let (package, rest) = import.split_once('/')?;
    let (_, version) = rest.split_once('@')?;
    Some(format!("{}@{version}", package.replace(':', "-")))
}

fn copy_folder(from: &Path, to: &Path) -> BuildResult<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The macro call has to name the generated folder, so it is generated as well.
fn bindings_source(wit: &Path) -> String {
    format!(
        r#"wasmtime::component::bindgen!({{
    path: {path:?},
    world: "standin:host/spin",
    imports: {{ default: async | trappable }},
    trappable_error_type: {{
        "spin:postgres/postgres.error" => spin::postgres::postgres::Error,
        "spin:redis/redis.error" => spin::redis::redis::Error,
        "spin:variables/variables.error" => spin::variables::variables::Error,
    }},
    with: {{
        "spin:postgres/postgres.connection": crate::outbound_pg::Connection,
        "spin:postgres/postgres.connection-builder": crate::outbound_pg::ConnectionBuilder,
        "spin:redis/redis.connection": crate::outbound_redis::Connection,
    }},
    require_store_data_send: true,
}});
"#,
        path = wit.display().to_string()
    )
}
