//! The files a component may read.
//!
//! As in Spin, they are copied into a folder of their own, which the guest sees as its root and
//! cannot write to.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use glob::Pattern;
use tempfile::TempDir;

use crate::manifest::{FilesMount, Manifest};

/// A folder with copies of the mounted files, removed when dropped.
#[derive(Debug)]
pub struct Mounts {
    root: TempDir,
}

impl Mounts {
    /// Copies what the manifest mounts, if it mounts anything.
    ///
    /// # Errors
    ///
    /// A source is missing, lies outside the application's folder, or cannot be copied.
    pub fn prepare(manifest: &Manifest) -> Result<Option<Self>> {
        let component = &manifest.component;
        if component.files.is_empty() {
            return Ok(None);
        }
        let root = tempfile::Builder::new().prefix("spin-standin-").tempdir()?;
        let directory = manifest.directory.canonicalize()?;
        let exclude = component
            .exclude_files
            .iter()
            .map(|pattern| {
                Pattern::new(pattern).with_context(|| format!("bad pattern {pattern:?}"))
            })
            .collect::<Result<Vec<_>>>()?;
        let copier = Copier {
            directory,
            root: root.path().to_owned(),
            exclude,
        };
        for mount in &component.files {
            copier
                .mount(mount)
                .with_context(|| format!("cannot mount {mount}"))?;
        }
        Ok(Some(Self { root }))
    }

    /// The folder that becomes the guest's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

struct Copier {
    directory: PathBuf,
    root: PathBuf,
    exclude: Vec<Pattern>,
}

impl Copier {
    fn mount(&self, mount: &FilesMount) -> Result<()> {
        match mount {
            FilesMount::Placement {
                source,
                destination,
            } => {
                let source = self.directory.join(source);
                let target = self.root.join(destination.trim_start_matches('/'));
                if source.is_dir() {
                    self.copy_matching(&source.join("**/*"), &source, &target)
                } else {
                    self.copy(&source, &target)
                }
            }
            FilesMount::Pattern(pattern) => {
                let path = self.directory.join(pattern);
                if path.is_dir() {
                    self.copy_matching(&path.join("**/*"), &self.directory, &self.root)
                } else if path.exists() {
                    self.copy(&path, &self.root.join(pattern))
                } else if pattern.contains(['*', '?', '[']) {
                    self.copy_matching(&path, &self.directory, &self.root)
                } else {
                    bail!("it does not exist");
                }
            }
        }
    }

    /// Copies the files that match a pattern, keeping their paths below `from`.
    fn copy_matching(&self, pattern: &Path, from: &Path, to: &Path) -> Result<()> {
        for source in glob::glob(pattern.to_str().context("the path is not UTF-8")?)? {
            let source = source?;
            if source.is_file() {
                self.copy(&source, &to.join(source.strip_prefix(from)?))?;
            }
        }
        Ok(())
    }

    fn copy(&self, source: &Path, target: &Path) -> Result<()> {
        let real = source
            .canonicalize()
            .with_context(|| format!("{} does not exist", source.display()))?;
        let inside = real.strip_prefix(&self.directory);
        let relative = inside
            .ok()
            .context("it lies outside the application's folder")?;
        let escapes = target.components().any(|part| part.as_os_str() == "..");
        ensure!(!escapes, "its destination lies outside the guest's root");
        if self
            .exclude
            .iter()
            .any(|pattern| pattern.matches_path(relative))
        {
            return Ok(());
        }
        fs::create_dir_all(target.parent().context("the destination has no folder")?)?;
        fs::copy(&real, target)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guest would see, for an application with two files and these mounts.
    fn mounted(component: &str) -> Result<Vec<String>> {
        let application = tempfile::tempdir()?;
        fs::create_dir_all(application.path().join("assets/css"))?;
        fs::write(application.path().join("assets/css/site.css"), "body {}")?;
        fs::write(application.path().join("notes.txt"), "notes")?;
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"app\"\n\
             [[trigger.http]]\nroute = \"/...\"\ncomponent = \"app\"\n\
             [component.app]\nsource = \"app.wasm\"\n{component}"
        );
        let manifest = Manifest::parse(&text, application.path())?;
        let mounts = Mounts::prepare(&manifest)?.context("nothing is mounted")?;
        let pattern = mounts.root().join("**/*");
        let mut seen = Vec::new();
        for path in glob::glob(pattern.to_str().context("not UTF-8")?)? {
            let path = path?;
            if path.is_file() {
                seen.push(path.strip_prefix(mounts.root())?.display().to_string());
            }
        }
        Ok(seen)
    }

    #[test]
    fn a_placement_appears_under_its_destination() {
        let file = "files = [{ source = \"notes.txt\", destination = \"/docs/n.txt\" }]";
        assert_eq!(mounted(file).unwrap(), ["docs/n.txt"]);
        let folder = "files = [{ source = \"assets\", destination = \"/\" }]";
        assert_eq!(mounted(folder).unwrap(), ["css/site.css"]);
    }

    #[test]
    fn a_pattern_keeps_paths_and_leaves_out_what_is_excluded() {
        let pattern = "files = [\"assets/**/*\", \"notes.txt\"]";
        assert_eq!(
            mounted(pattern).unwrap(),
            ["assets/css/site.css", "notes.txt"]
        );
        let excluding = format!("{pattern}\nexclude_files = [\"**/*.css\"]");
        assert_eq!(mounted(&excluding).unwrap(), ["notes.txt"]);
    }

    #[test]
    fn nothing_is_read_or_written_outside() {
        let outside = "files = [{ source = \"/etc/hostname\", destination = \"/h\" }]";
        assert!(mounted(outside).is_err());
        let escaping = "files = [{ source = \"notes.txt\", destination = \"../n\" }]";
        assert!(mounted(escaping).is_err());
        assert!(mounted("files = [\"missing.txt\"]").is_err());
    }
}
