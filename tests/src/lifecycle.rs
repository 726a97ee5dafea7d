//! Orders on their way through their statuses, and what was recorded of it.

use crate::TestApp;
use crate::bodies::order_but;

pub const STATUSES: [&str; 5] = ["pending", "confirmed", "shipped", "delivered", "cancelled"];

/// The statuses that may follow another one, as the contract says.
///
/// # Panics
/// When it is no status.
#[must_use]
pub fn allowed_after(status: &str) -> &'static [&'static str] {
    match status {
        "pending" => &["confirmed", "cancelled"],
        "confirmed" => &["shipped", "cancelled"],
        "shipped" => &["delivered"],
        "delivered" | "cancelled" => &[],
        _ => panic!("{status} is no status"),
    }
}

/// One row of what happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub from: Option<String>,
    pub to: String,
    pub reason: Option<String>,
}

impl TestApp {
    /// The id of an order that has this status.
    ///
    /// # Panics
    /// When it does not come to have it.
    pub async fn an_order_that_is(&self, status: &str) -> String {
        let id = self.an_order_id().await;
        let way: &[&str] = match status {
            "pending" => &[],
            "shipped" => &["confirmed", "shipped"],
            "delivered" => &["confirmed", "shipped", "delivered"],
            other => &[other],
        };
        for step in way {
            let changed = self.api.order_set_status(&id, step).await.success(200);
            assert_eq!(changed.data()["status"], **step);
        }
        id
    }

    /// Creates orders of these users, one after the other, and returns their ids, newest first.
    ///
    /// # Panics
    /// When one is not created.
    pub async fn orders_of(&self, users: &[&str]) -> Vec<String> {
        let mut ids = Vec::new();
        for user in users {
            let order = order_but("/user_id", *user);
            let order = self.api.order_create(&order).await.success(201).data();
            ids.push(order["id"].as_str().expect("an id").to_owned());
        }
        ids.reverse();
        ids
    }

    /// What happened to an order, oldest first.
    ///
    /// # Panics
    /// When the events are not numbered from 1 without a gap, or do not follow from each other, or
    /// when the order itself says something else than the last of them.
    pub async fn db_events(&self, order_id: &str) -> Vec<Event> {
        let sql = "
            select sequence, from_status, to_status, reason, orders.status, orders.version
            from order_events join orders on orders.id = order_id
            where order_id = $1::text::uuid order by sequence";
        let rows = self.database.db_query(sql, &[&order_id]).await;
        let mut events: Vec<Event> = Vec::new();
        for (row, number) in rows.iter().zip(1_i32..) {
            let event = Event {
                from: row.get(1),
                to: row.get(2),
                reason: row.get(3),
            };
            assert_eq!(row.get::<_, i32>(0), number, "after {events:?}");
            assert_eq!(event.from, events.last().map(|last| last.to.clone()));
            if let Some(from) = &event.from {
                assert!(
                    allowed_after(from).contains(&event.to.as_str()),
                    "{event:?}"
                );
            }
            events.push(event);
        }
        let last = rows.last().expect("an order has the event of its creation");
        assert_eq!(last.get::<_, String>(4), last.get::<_, String>(2));
        assert_eq!(last.get::<_, i32>(5), last.get::<_, i32>(0), "the version");
        events
    }
}
