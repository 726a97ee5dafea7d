//! The parts of a list's statement that depend on its filter.

use chrono::{DateTime, Days, NaiveTime, Utc};

use crate::domain::list::Filter;
use crate::platform::postgres::Param;

/// The number of orders that pass the filter, as a query of one row `count`. It reads the
/// counters that triggers keep. A span of time is counted by whole days; only what is left of
/// its first and last day comes from an index.
pub fn total(filter: &Filter, kinds: &[String], params: &mut Params) -> String {
    let spans = filter.created_from.is_some() || filter.created_to.is_some();
    let few = spans || filter.idempotency_key.is_some();
    match (&filter.user_id, few) {
        // One user's orders are few enough to count.
        (Some(_), true) => count(filter, kinds, params),
        (None, true) => span_total(filter, kinds, params),
        (Some(_), false) => sum("user_order_counts", kinds),
        (None, false) => sum("order_counts", kinds),
    }
}

fn span_total(filter: &Filter, kinds: &[String], params: &mut Params) -> String {
    let first_day = filter.created_from.map(next_midnight);
    let end_day = filter.created_to.map(midnight);
    if first_day
        .zip(end_day)
        .is_some_and(|(first, end)| first >= end)
    {
        return count(filter, kinds, params);
    }
    let mut days = kinds.to_vec();
    let mut parts = Vec::new();
    if let Some(first_day) = first_day {
        let edge = Filter {
            created_to: Some(first_day),
            ..filter.clone()
        };
        parts.push(count(&edge, kinds, params));
        days.push(format!(
            "day >= {}::date",
            params.add(first_day, "timestamp")
        ));
    }
    if let Some(end_day) = end_day {
        let edge = Filter {
            created_from: Some(end_day),
            ..filter.clone()
        };
        parts.push(count(&edge, kinds, params));
        days.push(format!("day < {}::date", params.add(end_day, "timestamp")));
    }
    parts.push(sum("order_day_counts", &days));
    let parts: Vec<_> = parts.iter().map(|part| format!("({part})")).collect();
    format!("select {} as count", parts.join(" + "))
}

/// Counts from an index.
fn count(filter: &Filter, kinds: &[String], params: &mut Params) -> String {
    let conditions = conditions(filter, kinds, params);
    format!(
        "select count(*) as count from orders {}",
        where_clause(&conditions)
    )
}

/// Adds up counters.
fn sum(table: &str, conditions: &[String]) -> String {
    let clause = where_clause(conditions);
    format!("select coalesce(sum(count), 0)::bigint as count from {table} {clause}")
}

fn midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// The first midnight that is not before `at`.
fn next_midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    let midnight = midnight(at);
    if midnight == at {
        return midnight;
    }
    midnight.checked_add_days(Days::new(1)).unwrap_or(midnight)
}

/// Whose orders, and in which status: what the counters know too.
pub fn kinds(filter: &Filter, params: &mut Params) -> Vec<String> {
    let mut conditions = Vec::new();
    if let Some(user_id) = &filter.user_id {
        conditions.push(format!(
            "user_id = {}",
            params.add(user_id.as_str(), "text")
        ));
    }
    if let Some(status) = filter.status {
        conditions.push(format!("status = {}", params.add(status.as_str(), "text")));
    }
    conditions
}

/// The conditions that an order of the list meets.
pub fn conditions(filter: &Filter, kinds: &[String], params: &mut Params) -> Vec<String> {
    let mut conditions = kinds.to_vec();
    if let (Some(key), Some(user_id)) = (&filter.idempotency_key, &filter.user_id) {
        let user_id = params.add(user_id.as_str(), "text");
        let key = params.add(key.as_str(), "text");
        conditions.push(format!(
            "id in (select order_id from idempotency_keys as k
                    where k.user_id = {user_id} and k.key = {key})"
        ));
    }
    if let Some(from) = filter.created_from {
        conditions.push(format!("created_at >= {}", params.timestamp(from)));
    }
    if let Some(to) = filter.created_to {
        conditions.push(format!("created_at < {}", params.timestamp(to)));
    }
    conditions
}

/// The conditions as a clause; empty if there are none.
pub fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    format!("where {}", conditions.join(" and "))
}

/// The parameters of a statement that is put together from parts.
#[derive(Debug, Default)]
pub struct Params {
    pub values: Vec<Param>,
}

impl Params {
    /// Adds a value and returns its place in the statement.
    pub fn add(&mut self, value: impl Into<Param>, r#type: &str) -> String {
        self.values.push(value.into());
        format!("${}::{}", self.values.len(), r#type)
    }

    pub fn timestamp(&mut self, at: DateTime<Utc>) -> String {
        let place = self.add(at, "timestamp");
        format!("({place} at time zone 'utc')")
    }
}
