//! A client's wish for a list of orders: the query string parsed once.

use core::fmt::Write as _;
use core::ops::RangeInclusive;
use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};

use super::bounds::{
    EVENTS_DEFAULT, EVENTS_MAX, PAGE_DEPTH_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, WAIT_MAX_S,
};
use super::cursor::{FeedPosition, Position, is_rfc_3339};
use super::idempotency::IdempotencyKey;
use super::placing::USER_ID;
use super::problem::Problem;
use super::status::Status;

/// Which part of which list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    pub filter: Filter,
    pub start: Start,
    /// Orders at most, from 1.
    pub page_size: u32,
}

/// Which orders are in the list; all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub user_id: Option<String>,
    /// Of the user's orders only.
    pub idempotency_key: Option<IdempotencyKey>,
    pub status: Option<Status>,
    /// The first moment that counts.
    pub created_from: Option<DateTime<Utc>>,
    /// The first moment that does not count any more.
    pub created_to: Option<DateTime<Utc>>,
}

/// Where the page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The page with this number, from 1.
    Page(u32),
    After(Position),
}

/// Why a query string was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadQuery {
    Invalid(Vec<Problem>),
    PageTooDeep,
}

impl ListRequest {
    /// Reads the query string. `user_id` is the user whose list it is; without one, the list
    /// has all orders and `user_id` is a filter of the query. Unknown parameters are ignored.
    pub fn parse(query: &str, user_id: Option<String>) -> Result<Self, BadQuery> {
        let mut parameters = Parameters::read(query);
        let mut filter = Filter {
            status: parameters.parsed("status", "unknown_status", status_rule),
            created_from: parameters.parsed("created_from", "invalid_timestamp", timestamp),
            created_to: parameters.parsed("created_to", "invalid_timestamp", timestamp),
            user_id: None,
            idempotency_key: None,
        };
        if user_id.is_none() {
            filter.idempotency_key = parameters.parsed(
                "idempotency_key",
                "invalid_idempotency_key",
                IdempotencyKey::parse,
            );
        }
        filter.user_id = user_id.or_else(|| parameters.user_id());
        if filter.idempotency_key.is_some() && filter.user_id.is_none() {
            let message = "must be given, since keys belong to a user".into();
            parameters.report("user_id", "required", message);
        }
        let page_size = parameters.parsed("page_size", "out_of_range", |text| {
            whole_number(text, 1..=PAGE_SIZE_MAX)
        });
        let start = parameters.start(&filter.to_query());
        if !parameters.problems.is_empty() {
            return Err(BadQuery::Invalid(parameters.problems));
        }
        let page_size = page_size.unwrap_or(PAGE_SIZE_DEFAULT);
        if let Start::Page(page) = start
            && u64::from(page).saturating_mul(u64::from(page_size)) > PAGE_DEPTH_MAX
        {
            return Err(BadQuery::PageTooDeep);
        }
        Ok(Self {
            filter,
            start,
            page_size,
        })
    }
}

impl Filter {
    /// The filter as the query string of a link, without a leading `&`.
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        if let Some(user_id) = &self.user_id {
            query.append_pair("user_id", user_id);
        }
        if let Some(key) = &self.idempotency_key {
            query.append_pair("idempotency_key", key.as_str());
        }
        if let Some(status) = self.status {
            query.append_pair("status", status.as_str());
        }
        if let Some(from) = self.created_from {
            query.append_pair("created_from", &moment(from));
        }
        if let Some(to) = self.created_to {
            query.append_pair("created_to", &moment(to));
        }
        query.finish()
    }
}

/// Which part of the change feed is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedRequest {
    /// `None` for the beginning, wherever that is by now.
    pub after: Option<FeedPosition>,
    /// Events at most, from 1.
    pub limit: u32,
    /// How long to wait for an event, in seconds.
    pub wait_s: u32,
}

impl FeedRequest {
    /// Reads the query string. Unknown parameters are ignored.
    pub fn parse(query: &str) -> Result<Self, BadQuery> {
        let mut parameters = Parameters::read(query);
        let after = parameters.parsed("after", "invalid_cursor", |text| {
            FeedPosition::decode(text).ok_or_else(|| "must be a next_cursor of the feed".into())
        });
        let limit = parameters.parsed("limit", "out_of_range", |text| {
            whole_number(text, 1..=EVENTS_MAX)
        });
        let wait_s = parameters.parsed("wait", "out_of_range", |text| {
            whole_number(text, 0..=WAIT_MAX_S)
        });
        if !parameters.problems.is_empty() {
            return Err(BadQuery::Invalid(parameters.problems));
        }
        Ok(Self {
            after,
            limit: limit.unwrap_or(EVENTS_DEFAULT),
            wait_s: wait_s.unwrap_or(0),
        })
    }
}

/// The parameters of a query string and the problems found in them so far.
struct Parameters {
    /// Names and values; `None` is a value that is not UTF-8.
    pairs: Vec<(String, Option<String>)>,
    problems: Vec<Problem>,
}

impl Parameters {
    fn read(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)))
        });
        Self {
            pairs: pairs.collect(),
            problems: Vec::new(),
        }
    }

    /// The only value of the parameter `name`.
    fn value(&mut self, name: &str) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name);
        let (_, value) = values.next()?.clone();
        if values.next().is_some() {
            self.report(name, "repeated", "must be given once".into());
            return None;
        }
        if value.is_none() {
            self.report(name, "wrong_type", "must be UTF-8".into());
        }
        value
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        code: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.value(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.report(name, code, message);
                None
            }
        }
    }

    fn user_id(&mut self) -> Option<String> {
        let user_id = self.value("user_id")?;
        if let Some((code, message)) = USER_ID.check(&user_id) {
            self.report("user_id", code, message);
            return None;
        }
        Some(user_id)
    }

    fn start(&mut self, list: &str) -> Start {
        let page = self.parsed("page", "out_of_range", |text| {
            whole_number(text, 1..=u32::MAX)
        });
        let Some(cursor) = self.value("cursor") else {
            return Start::Page(page.unwrap_or(1));
        };
        if self.pairs.iter().any(|(key, _)| key == "page") {
            self.report("page", "conflict", "must not be given with a cursor".into());
        }
        let Some(position) = Position::decode(&cursor, list) else {
            let message = "must be the next_cursor of this list".into();
            self.report("cursor", "invalid_cursor", message);
            return Start::Page(1);
        };
        Start::After(position)
    }

    fn report(&mut self, name: &str, code: &'static str, message: String) {
        self.problems
            .push(Problem::new(format!("/{name}"), code, message));
    }
}

/// A name or value of a query string; `None` if it is not UTF-8. (`form_urlencoded` would put
/// U+FFFD in place of what it cannot read, and so make another value of it.)
fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_encoding::percent_decode_str(&text).decode_utf8();
    text.ok().map(Cow::into_owned)
}

fn whole_number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    // `u32::from_str` takes a leading plus sign; a query string has no such thing.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok();
    number
        .filter(|number| digits && range.contains(number))
        .ok_or_else(|| {
            let (min, max) = range.into_inner();
            format!("must be a whole number from {min} to {max}")
        })
}

fn status_rule(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| {
        let mut message = String::from("must be one of");
        for status in Status::ALL {
            // Writing to a string cannot fail.
            let _ = write!(message, " {status}");
        }
        message
    })
}

fn timestamp(text: &str) -> Result<DateTime<Utc>, String> {
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|_| "must be an RFC 3339 timestamp such as 2026-01-31T12:00:00Z".to_owned())?;
    // Orders are dated in whole microseconds: the first one that is not before this moment.
    let at = at.to_utc();
    let down = at.trunc_subsecs(6);
    let up = down.checked_add_signed(TimeDelta::microseconds(1));
    let whole = if down == at { Some(down) } else { up };
    whole
        .filter(|whole| is_rfc_3339(*whole))
        .ok_or_else(|| "must be in the years 0000 to 9999 (UTC)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(query: &str) -> Vec<String> {
        match ListRequest::parse(query, None) {
            Err(BadQuery::Invalid(problems)) => problems.into_iter().map(|p| p.pointer).collect(),
            Err(BadQuery::PageTooDeep) => vec!["too deep".into()],
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        assert_eq!(pointers("page=0&page_size=101"), ["/page_size", "/page"]);
        assert_eq!(pointers("status=lost"), ["/status"]);
        assert_eq!(pointers("created_from=yesterday"), ["/created_from"]);
        assert_eq!(pointers("page=1&page=2"), ["/page"]);
        assert_eq!(pointers("cursor=abc"), ["/cursor"]);
        assert_eq!(pointers("user_id=%00"), ["/user_id"]);
        assert_eq!(pointers("user_id=%ff"), ["/user_id"]);
        assert_eq!(
            pointers("created_to=9999-12-31T23:59:59-01:00"),
            ["/created_to"]
        );
        assert!(pointers("colour=green&page=2").is_empty());
    }

    #[test]
    fn a_page_number_reaches_ten_thousand_rows() {
        assert!(pointers("page=100&page_size=100").is_empty());
        assert_eq!(pointers("page=101&page_size=100"), ["too deep"]);
    }
}
