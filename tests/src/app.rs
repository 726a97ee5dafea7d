//! One service under test, with everything around it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sample_products::ScriptedProducts;
use serde_json::Value;

use crate::bodies::order_of;
use crate::database::{Database, blocking, url_of};
use crate::environment::{host_and_port, manifest, redis_url};
use crate::host::Host;
use crate::{Client, link::Link};

/// The component on its own host, with its own database, keys and products. Dropping it ends the
/// host and removes what was stored.
#[derive(Debug)]
pub struct TestApp {
    pub api: Client,
    pub products: ScriptedProducts,
    /// The wire to Postgres; only the component uses it.
    pub postgres: Link,
    /// The wire to Redis; only the component uses it.
    pub redis: Link,
    pub host: Host,
    pub database: Database,
    /// The Spin variables of the host.
    pub variables: BTreeMap<String, String>,
    redis_key_prefix: RedisKeyPrefix,
}

/// What a test wants to be different.
#[derive(Debug, Default)]
pub struct Builder {
    variables: BTreeMap<String, String>,
    is_database_empty: bool,
    is_process: bool,
    manifest: Option<PathBuf>,
}

impl TestApp {
    /// The service as it is set up by default, with a product `p1` at 10.00.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// An order of one `p1`, already created.
    ///
    /// # Panics
    /// When it is not created.
    pub async fn an_order(&self) -> Value {
        self.api
            .order_create(&order_of(&["p1"]))
            .await
            .success(201)
            .data()
    }

    /// The id of an order, already created.
    pub async fn an_order_id(&self) -> String {
        self.an_order().await["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// One more replica: the same database, keys and products.
    pub async fn another_host(&self) -> Host {
        Host::start(&self.variables, self.host.process().is_some()).await
    }

    pub async fn db_order_count(&self) -> i64 {
        self.database.db_count("select count(*) from orders").await
    }

    /// # Panics
    /// When there is an order, a line or anything else that creating one leaves behind.
    #[track_caller]
    pub fn db_assert_nothing_stored(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let rows = "select (select count(*) from orders) + (select count(*) from order_items) \
                        + (select count(*) from order_events)";
            assert_eq!(
                self.database.db_count(rows).await,
                0,
                "stored something, {caller}"
            );
        }
    }

    /// Whether the service has this order in its cache, and not only the mark that a change leaves.
    pub async fn is_cached(&self, order_id: &str) -> bool {
        let mut end = redis::cmd("getrange");
        end.arg(self.redis_key(&format!("order:{order_id}")));
        end.arg(-1).arg(-1);
        self.redis_command::<String>(&end).await == "}"
    }

    /// Reads the order until it is in the cache, which is filled after the response.
    pub async fn until_cached(&self, order_id: &str) {
        self.until_cached_by(&self.api, order_id).await;
    }

    /// The same, reading as this client, who may.
    pub async fn until_cached_by(&self, client: &Client, order_id: &str) {
        crate::wait::until("the order is cached", async || {
            client.order_get(order_id).await.assert_success(200);
            self.is_cached(order_id).await
        })
        .await;
    }

    /// The whole key of this service in the shared Redis.
    #[must_use]
    pub fn redis_key(&self, key: &str) -> String {
        format!("{}{key}", self.redis_key_prefix.0)
    }

    /// Asks Redis directly, not over the component's wire.
    ///
    /// # Panics
    /// When Redis does not answer as expected.
    pub async fn redis_command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        redis_command(command).await
    }
}

impl Builder {
    /// Sets a Spin variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    /// The deadline of a request, for tests that wait for it.
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.variable("request_timeout_ms", timeout.as_millis())
    }

    /// Without any migration.
    #[must_use]
    pub fn empty_database(mut self) -> Self {
        self.is_database_empty = true;
        self
    }

    /// On a host that is a process of its own, which can be watched.
    #[must_use]
    pub fn as_process(mut self) -> Self {
        self.is_process = true;
        self
    }

    /// Another build of the service.
    #[must_use]
    pub fn manifest(mut self, manifest: PathBuf) -> Self {
        self.manifest = Some(manifest);
        self
    }

    /// # Panics
    /// When anything around the service cannot be started, or the service itself.
    pub async fn start(self) -> TestApp {
        let database = match self.is_database_empty {
            true => Database::create_empty().await,
            false => Database::create().await,
        };
        let products = ScriptedProducts::start().await.expect("a free port");
        products.set_price("p1", "10.00");
        let mut database_url = url_of(&database.name);
        let postgres = Link::to_postgres(&host_and_port(&database_url, 5432)).await;
        let mut redis_url = redis_url();
        let redis = Link::to_redis(&host_and_port(&redis_url, 6379)).await;
        for (url, link) in [(&mut database_url, &postgres), (&mut redis_url, &redis)] {
            url.set_ip_host(link.address().ip())
                .expect("a URL with a host");
            url.set_port(Some(link.address().port()))
                .expect("a URL with a port");
        }
        database_url.set_query(Some("sslmode=disable"));
        if redis_url.password().is_none() {
            // As with a password, it takes an answer to open a connection.
            redis_url
                .set_username("default")
                .expect("a URL with a host");
            redis_url
                .set_password(Some("any"))
                .expect("a URL with a host");
        }
        let redis_key_prefix = RedisKeyPrefix(format!("{}:", database.name));
        let mut variables = BTreeMap::from([
            ("database_url".to_owned(), database_url.to_string()),
            ("database_host".to_owned(), postgres.address().to_string()),
            ("redis_url".to_owned(), redis_url.to_string()),
            ("redis_host".to_owned(), redis.address().to_string()),
            ("redis_key_prefix".to_owned(), redis_key_prefix.0.clone()),
            ("product_service_url".to_owned(), products.url()),
        ]);
        variables.extend(self.variables);
        let manifest = self.manifest.unwrap_or_else(manifest);
        let host = Host::start_from(&manifest, &variables, self.is_process).await;
        let api = Client::new(host.url());
        TestApp {
            api,
            products,
            postgres,
            redis,
            host,
            database,
            variables,
            redis_key_prefix,
        }
    }
}

/// Where the keys of one test begin; dropping it removes them.
#[derive(Debug)]
struct RedisKeyPrefix(String);

impl Drop for RedisKeyPrefix {
    fn drop(&mut self) {
        let pattern = format!("{}*", self.0);
        blocking(async move {
            let script = "local n = 0 \
                for _, key in ipairs(redis.call('keys', ARGV[1])) do n = n + redis.call('del', key) end \
                return n";
            let mut command = redis::cmd("eval");
            command.arg(script).arg(0).arg(pattern);
            let _removed: i64 = redis_command(&command).await;
        });
    }
}

async fn redis_command<T: redis::FromRedisValue>(command: &redis::Cmd) -> T {
    let client = redis::Client::open(redis_url().as_str()).expect("the REDIS_URL");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.expect("the Redis of REDIS_URL");
    command
        .query_async(&mut connection)
        .await
        .expect("an answer of Redis")
}
