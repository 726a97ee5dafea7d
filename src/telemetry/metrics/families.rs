//! What is counted, and how it is shown. A new counter is one entry here, and calls of
//! [`super::count`] or [`super::observe`].

/// A metric with its labels. A field of the hash in Redis is the family's name and the values of
/// its labels, separated by [`SEPARATOR`].
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Name without the suffix `_total`.
    pub name: &'static str,
    pub labels: &'static [&'static str],
    pub kind: Kind,
    pub help: &'static str,
}

/// How a family is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    /// Of seconds; counted in [`BUCKETS_US`].
    Histogram,
}

pub const SEPARATOR: char = '|';

/// Upper bounds of the buckets of a duration, in microseconds; the last bucket has none.
pub const BUCKETS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

macro_rules! families {
    ($($constant:ident = $kind:ident($name:literal, [$($label:literal),*], $help:literal);)*) => {
        $(pub static $constant: Family = Family {
            name: $name,
            labels: &[$($label),*],
            kind: Kind::$kind,
            help: $help,
        };)*

        /// Every family, in the order of the scrape.
        pub static FAMILIES: &[&Family] = &[$(&$constant),*];
    };
}

#[rustfmt::skip]
families! {
    REQUESTS = Histogram("http_server_request_duration_seconds", ["http_request_method", "http_route", "http_response_status_code"], "Time from the arrival of a request to its response.");
    REFUSED = Counter("http_server_requests_refused", [], "Requests that were refused at once because the database did not answer others in time.");
    CREATED = Counter("orders_created", [], "Orders that were created.");
    REPLAYED = Counter("orders_replayed", [], "Creations that repeated one before, by their idempotency key.");
    TRANSITIONS = Counter("order_status_transitions", ["from", "to"], "Changes of an order's status.");
    CACHE = Counter("order_cache_requests", ["result"], "Look-ups of an order in the cache: hit, miss, or error when the cache did not answer.");
    REPLICA_READS = Counter("replica_reads", ["result"], "Lists that a replica might have answered: served, behind when it lacked something that had been told, failed, or skipped when it had failed a moment ago or Redis did not answer.");
    REPLICA_UNMARKED = Counter("replica_writes_unmarked", [], "Writes that lists were not told of, because Redis did not answer; a replica may hide them for five seconds.");
    PRODUCTS = Histogram("product_service_request_duration_seconds", ["result", "http_response_status_code"], "Attempts at the product service: ok, not_found (also a reply about another product), refused (another 4xx), invalid (a reply that makes no sense) or unavailable; with the status of the reply, if there was one.");
    RETRIES = Counter("product_service_retries", [], "Attempts at the product service that repeat a failed one.");
    BREAKER_OPENINGS = Counter("product_service_breaker_openings", [], "How often an instance has stopped asking the product service for a while, probes that failed included.");
    SHORT_CIRCUITS = Counter("product_service_short_circuits", [], "Look-ups that were given up at once because the breaker was open; they grow while it is.");
    PROBES = Counter("product_service_probes", [], "Requests of /ready to the product service's health check.");
    PROBES_FAILED = Counter("product_service_probes_failed", [], "Those that were not answered with 2xx or 404.");
    AUTHENTICATIONS = Counter("authentications", ["result"], "Requests that had to show a token: accepted, missing, refused, or unavailable when there were no keys.");
    LIMITS = Counter("rate_limit_checks", ["result"], "Requests held against a rate limit: allowed, refused, or unchecked when Redis did not answer.");
    LAST_KNOWN_PRICES = Counter("order_lines_at_last_known_price", [], "Lines of orders whose price had been seen before, because the product service did not answer.");
}
