//! Creating by key, and reading the change feed as a consumer does.

use reqwest::Method;
use serde_json::Value;

use crate::client::encode;
use crate::{Client, Reply};

impl Client {
    /// Creates with an idempotency key.
    pub async fn order_create_by_key(&self, key: &str, body: &Value) -> Reply {
        self.call(Method::POST, "/api/orders")
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
    }

    pub async fn order_history(&self, id: &str) -> Reply {
        self.get(&format!("/api/orders/{}/history", encode(id)))
            .await
    }

    /// Reads the feed; `query` is what follows the question mark.
    pub async fn events(&self, query: &str) -> Reply {
        self.get(&format!("/api/events?{query}")).await
    }
}

/// Somebody who follows the feed: what it has read, and where it goes on.
#[derive(Debug, Default)]
pub struct Follower {
    pub events: Vec<Value>,
    pub cursor: Option<String>,
}

impl Follower {
    /// Reads one page, which may be empty; how many events it had.
    ///
    /// # Panics
    /// When the answer is no page of the feed.
    pub async fn read(&mut self, api: &Client, query: &str) -> usize {
        let after = self
            .cursor
            .as_ref()
            .map(|cursor| format!("&after={cursor}"));
        let query = format!("{query}{}", after.unwrap_or_default());
        let page = api.events(&query).await.success(200).json();
        let cursor = page["pagination"]["next_cursor"].as_str();
        self.cursor = Some(cursor.expect("a cursor, always").to_owned());
        let events = page["data"].as_array().expect("a list");
        self.events.extend(events.iter().cloned());
        events.len()
    }

    /// Reads until there have been so many events.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn read_until(&mut self, api: &Client, count: usize) {
        for _ in 0..60 {
            if self.events.len() >= count {
                return;
            }
            self.read(api, "wait=1&limit=500").await;
        }
        panic!("{} of {count} events came", self.events.len());
    }

    /// The order and the sequence of each event.
    #[must_use]
    pub fn changes(&self) -> Vec<(String, u64)> {
        let changes = self.events.iter().map(|event| {
            let order = event["order_id"].as_str().expect("an order");
            (
                order.to_owned(),
                event["sequence"].as_u64().expect("a number"),
            )
        });
        changes.collect()
    }

    /// # Panics
    /// When an event came twice, or the changes of an order did not come in order, from its
    /// creation, without a gap.
    pub fn assert_exact(&self) {
        let mut last = std::collections::HashMap::new();
        for (order, sequence) in self.changes() {
            let before = last.insert(order.clone(), sequence).unwrap_or(0);
            assert_eq!(sequence, before + 1, "of order {order}");
        }
    }
}
