//! An answer of the service, with the checks that hold for every answer.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub elapsed: Duration,
}

impl Reply {
    pub(super) fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: Vec<u8>,
        elapsed: Duration,
    ) -> Self {
        Self {
            status: status.as_u16(),
            headers,
            body,
            elapsed,
        }
    }

    /// Checks the status and what every success has; returns the reply for further checks.
    ///
    /// # Panics
    /// When anything differs.
    #[track_caller]
    #[must_use = "look at the answer too, or use `assert_success`"]
    pub fn success(self, status: u16) -> Self {
        self.assert_success(status);
        self
    }

    /// Checks the status and what every success has.
    ///
    /// # Panics
    /// When anything differs.
    #[track_caller]
    pub fn assert_success(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.json()["status"], "success", "{}", self.text());
        assert!(
            self.json().get("data").is_some(),
            "a success has data: {}",
            self.text()
        );
        self.assert_headers();
    }

    /// The ids of a list, in its order.
    ///
    /// # Panics
    /// When it is no list of orders.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let data = self.data();
        let orders = data.as_array().expect("a list").iter();
        orders
            .map(|order| order["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// Checks the status and everything that an error's envelope must have.
    ///
    /// # Panics
    /// When anything differs.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        let text = self.text();
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{text}"
        );
        let envelope = self.json();
        assert_eq!(envelope["status"], "error", "{text}");
        assert!(
            envelope["message"]
                .as_str()
                .is_some_and(|it| !it.is_empty()),
            "{text}"
        );
        assert_eq!(
            envelope["request_id"].as_str(),
            self.header("x-request-id"),
            "{text}"
        );
        for name in envelope
            .as_object()
            .into_iter()
            .flat_map(|envelope| envelope.keys())
        {
            let known = ["status", "code", "message", "errors", "request_id", "data"];
            assert!(
                known.contains(&name.as_str()),
                "the envelope has no {name}: {text}"
            );
        }
        if status == 503 {
            let retry_after = self
                .header("retry-after")
                .and_then(|it| it.parse::<u32>().ok());
            assert!(
                retry_after.is_some(),
                "a 503 says when to try again: {:?}",
                self.headers
            );
        }
        self.assert_headers();
        self.assert_nothing_internal();
    }

    /// The error's code, or an empty text.
    #[must_use]
    pub fn code(&self) -> String {
        let value = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        value["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The problems of a validation, as `pointer code`, in the order they were reported.
    ///
    /// # Panics
    /// When one lacks its pointer, code or message.
    #[must_use]
    #[track_caller]
    pub fn problems(&self) -> Vec<String> {
        let envelope = self.json();
        let problems = envelope["errors"].as_array().cloned().unwrap_or_default();
        let text = |problem: &Value, name: &str| {
            let text = problem[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name} in {problem}"));
            text.to_owned()
        };
        let describe = |problem: &Value| {
            assert!(!text(problem, "message").is_empty(), "{problem}");
            format!("{} {}", text(problem, "pointer"), text(problem, "code"))
        };
        problems.iter().map(describe).collect()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// When the body is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.text()))
    }

    /// The `data` of a success.
    ///
    /// # Panics
    /// When the body is not JSON.
    #[must_use]
    #[track_caller]
    pub fn data(&self) -> Value {
        self.json()["data"].take()
    }

    /// The JSON at a pointer exactly as it was written: how a number looks, not what it is worth.
    ///
    /// # Panics
    /// When there is nothing at the pointer.
    #[must_use]
    #[track_caller]
    pub fn raw(&self, pointer: &str) -> String {
        let mut raw = serde_json::from_slice::<&RawValue>(&self.body)
            .expect("JSON")
            .get();
        for step in pointer.split('/').skip(1) {
            let inner = if raw.starts_with('[') {
                let elements: Vec<&RawValue> = serde_json::from_str(raw).expect("an array");
                step.parse()
                    .ok()
                    .and_then(|index: usize| elements.get(index).copied())
            } else {
                let fields: HashMap<String, &RawValue> =
                    serde_json::from_str(raw).expect("an object");
                fields.get(step).copied()
            };
            raw = inner
                .unwrap_or_else(|| panic!("no {pointer} in {}", self.text()))
                .get();
        }
        raw.to_owned()
    }

    #[track_caller]
    fn assert_headers(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        let request_id = self.header("x-request-id").unwrap_or_default();
        assert!(
            (1..=128).contains(&request_id.len()),
            "X-Request-Id: {request_id:?}"
        );
    }

    /// No word that belongs to the inside of the service.
    #[track_caller]
    fn assert_nothing_internal(&self) {
        let text = self.text().to_lowercase();
        for word in [
            "127.0.0.1",
            "localhost",
            "select ",
            "insert ",
            "panicked",
            "src/",
            "spin:",
        ] {
            assert!(
                !text.contains(word),
                "{word:?} is nothing for clients: {text}"
            );
        }
    }
}
