//! The migrations of the repository, applied as dbmate applies them.

use std::path::PathBuf;

use tokio_postgres::{Client, Error};

use crate::environment::repository;

/// One file of `migrations/`.
#[derive(Debug, Clone)]
pub struct Migration {
    /// The digits before the first underscore; dbmate's name for the migration.
    pub version: String,
    pub name: String,
    pub up: String,
    pub down: String,
}

impl Migration {
    /// Applies it and records its version, in one transaction.
    ///
    /// # Errors
    /// Whatever Postgres says.
    pub async fn apply(&self, client: &Client) -> Result<(), Error> {
        let record = format!(
            "insert into schema_migrations (version) values ('{}');",
            self.version
        );
        client
            .batch_execute(&format!("begin;\n{}\n{record}\ncommit;", self.up))
            .await
    }

    /// Takes it back and forgets its version, in one transaction.
    ///
    /// # Errors
    /// Whatever Postgres says.
    pub async fn revert(&self, client: &Client) -> Result<(), Error> {
        let forget = format!(
            "delete from schema_migrations where version = '{}';",
            self.version
        );
        client
            .batch_execute(&format!("begin;\n{}\n{forget}\ncommit;", self.down))
            .await
    }
}

/// All migrations, oldest first.
///
/// # Panics
/// When a file cannot be read or has no `-- migrate:up` and `-- migrate:down`.
#[must_use]
pub fn all() -> Vec<Migration> {
    let folder = repository().join("migrations");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

/// dbmate's own table, as dbmate creates it.
///
/// # Errors
/// Whatever Postgres says.
pub async fn create_versions_table(client: &Client) -> Result<(), Error> {
    let sql = "create table if not exists schema_migrations (version varchar primary key)";
    client.batch_execute(sql).await
}

fn read(path: PathBuf) -> Migration {
    let text = std::fs::read_to_string(&path).expect("a readable migration");
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let marked = |marker: &str| {
        text.find(marker)
            .unwrap_or_else(|| panic!("{name} has no line `{marker}`"))
    };
    let (up, down) = (marked("-- migrate:up"), marked("-- migrate:down"));
    Migration {
        version: name.split('_').next().unwrap_or_default().to_owned(),
        up: text[up..down].to_owned(),
        down: text[down..].to_owned(),
        name,
    }
}
