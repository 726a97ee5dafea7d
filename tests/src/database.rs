//! A database per test, copied from a migrated template.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Url;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls, Row, types::ToSql};

use crate::{environment, migrations, wait};

/// Every database of the suite begins so, and none of anyone else's should.
const PREFIX: &str = "order_tests_";

/// A run that lasts longer than this has died, and its databases are swept away by the next.
const OLDEST_RUN_S: u64 = 2 * 60 * 60;

/// One database with its own connection for the test.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    client: Client,
}

impl Database {
    /// A copy of the template: migrated and empty.
    ///
    /// # Panics
    /// When the server cannot be reached or does not let its role create databases.
    pub async fn create() -> Self {
        Self::create_from(template().await).await
    }

    /// A database without any table.
    ///
    /// # Panics
    /// As [`Database::create`].
    pub async fn create_empty() -> Self {
        Self::create_from("template0").await
    }

    async fn create_from(template: &str) -> Self {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{PREFIX}{}_{}", seconds_since_1970(), &unique[..12]);
        let server = connect(&environment::database_url()).await;
        run(
            &server,
            &format!("create database {name} template {template}"),
        )
        .await;
        let client = connect(&url_of(&name)).await;
        Self { name, client }
    }

    /// Statements without parameters.
    ///
    /// # Panics
    /// When Postgres refuses them.
    pub async fn db_execute(&self, sql: &str) {
        run(&self.client, sql).await;
    }

    /// Rows of a query.
    ///
    /// # Panics
    /// When Postgres refuses it.
    pub async fn db_query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        let rows = self.client.query(sql, parameters).await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// A count.
    ///
    /// # Panics
    /// When the query does not give one `bigint`.
    pub async fn db_count(&self, sql: &str) -> i64 {
        self.db_query(sql, &[]).await[0].get(0)
    }

    /// Waits until so many connections wait for a lock.
    ///
    /// # Panics
    /// When that does not come to pass.
    pub async fn db_until_waiting(&self, count: i64) {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        let reached = async || self.db_count(waiting).await >= count;
        wait::until("enough wait for a lock", reached).await;
    }

    /// Another connection, for what happens at the same time.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn connect_to(name: &str) -> Client {
        connect(&url_of(name)).await
    }

    /// The connection itself, for transactions and migrations.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Database {
    /// Drops the database with whatever is still connected to it.
    fn drop(&mut self) {
        let name = self.name.clone();
        blocking(async move {
            let server = connect(&environment::database_url()).await;
            run(
                &server,
                &format!("drop database if exists {name} with (force)"),
            )
            .await;
        });
    }
}

/// The URL of a database of the server, as the service wants it.
#[must_use]
pub fn url_of(database: &str) -> Url {
    let mut url = environment::database_url();
    url.set_path(database);
    url
}

/// Runs a future to its end from code that cannot wait for it, such as `drop`.
pub(crate) fn blocking(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(work);
    });
    if thread.join().is_err() {
        eprintln!("warning: a test could not clean up behind itself");
    }
}

/// A connection, whose other half runs on the current runtime.
async fn connect(url: &Url) -> Client {
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls)
        .await
        .unwrap_or_else(|error| {
            panic!("cannot connect to the Postgres of DATABASE_URL: {error:?}")
        });
    tokio::spawn(async move {
        // The error of a broken connection shows in the next statement.
        let _ = connection.await;
    });
    client
}

async fn run(client: &Client, sql: &str) {
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The template, made once: its name contains a hash of the migrations, so that later runs and
/// other processes find it ready until a migration changes.
async fn template() -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(async || {
            let all = migrations::all();
            let mut hasher = DefaultHasher::new();
            all.iter()
                .for_each(|migration| migration.up.hash(&mut hasher));
            let name = format!("{PREFIX}template_{:016x}", hasher.finish());
            let server = connect(&environment::database_url()).await;
            // Processes that start at the same time make it one after the other.
            run(&server, "select pg_advisory_lock(hashtext('order_tests'))").await;
            sweep(&server).await;
            make_template(&server, &name, &all).await;
            run(
                &server,
                "select pg_advisory_unlock(hashtext('order_tests'))",
            )
            .await;
            name
        })
        .await
}

async fn make_template(server: &Client, name: &str, all: &[migrations::Migration]) {
    let exists = "select from pg_database where datname = $1";
    if !server
        .query(exists, &[&name])
        .await
        .expect("a list of databases")
        .is_empty()
    {
        return;
    }
    // It gets its name when it is complete, so that a half-made one is never used.
    let draft = format!("{name}_draft");
    run(
        server,
        &format!("drop database if exists {draft} with (force)"),
    )
    .await;
    run(server, &format!("create database {draft}")).await;
    let client = connect(&url_of(&draft)).await;
    migrations::create_versions_table(&client)
        .await
        .expect("a table of versions");
    for migration in all {
        let applied = migration.apply(&client).await;
        applied.unwrap_or_else(|error| panic!("{}: {error:?}", migration.name));
    }
    drop(client);
    let others = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    server
        .query(others, &[&draft])
        .await
        .expect("nobody else in the draft");
    crate::wait::until("the template has no connections", async || {
        let rename = format!("alter database {draft} rename to {name}");
        server.batch_execute(&rename).await.is_ok()
    })
    .await;
}

/// Drops the databases of runs that died. Templates stay: another checkout may be using its own.
async fn sweep(server: &Client) {
    let oldest = seconds_since_1970().saturating_sub(OLDEST_RUN_S);
    let names = "select datname from pg_database where starts_with(datname, $1)";
    for row in server
        .query(names, &[&PREFIX])
        .await
        .expect("a list of databases")
    {
        let name: String = row.get(0);
        let created_at = name.trim_start_matches(PREFIX).split('_').next();
        let created_at = created_at.and_then(|time| time.parse::<u64>().ok());
        if created_at.is_some_and(|created_at| created_at < oldest) {
            // Another run may be doing the same; the database only has to go.
            let _ = server
                .batch_execute(&format!("drop database {name} with (force)"))
                .await;
        }
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
