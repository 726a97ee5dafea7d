//! Compresses what `/docs` and `/openapi.json` serve, so that the component can carry it. The
//! same files make the same bytes on every machine.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use miniz_oxide::deflate::compress_to_vec;

const FILES: [&str; 6] = [
    "openapi.json",
    "assets/docs/favicon-32x32.png",
    "assets/docs/index.html",
    "assets/docs/init.js",
    "assets/docs/swagger-ui-bundle.js",
    "assets/docs/swagger-ui.css",
];

/// Magic number, method (deflate), no flags, no time, best compression, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
/// As small as can be; takes three seconds.
const LEVEL: u8 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::var("OUT_DIR")?;
    println!("cargo::rerun-if-changed=build.rs");
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
        let content = fs::read(file)?;
        let name = Path::new(file).file_name().ok_or("a folder")?;
        let target = Path::new(&folder).join(name).with_added_extension("gz");
        fs::write(target, gzip(&content)?)?;
    }
    Ok(())
}

fn gzip(content: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut gzip = HEADER.to_vec();
    gzip.extend(compress_to_vec(content, LEVEL));
    gzip.extend(crc32fast::hash(content).to_le_bytes());
    gzip.extend(u32::try_from(content.len())?.to_le_bytes());
    Ok(gzip)
}
