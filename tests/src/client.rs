//! The calls of the API, one function each, and what came back.

mod reply;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

pub use reply::Reply;

/// Longer than any deadline of the service: a test that waits so long has found a bug.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one running service.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    /// What it shows as its token.
    token: Option<String>,
}

impl Client {
    /// # Panics
    /// Never: the settings are fixed.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .expect("a client");
        Self {
            http,
            url: url.to_owned(),
            token: None,
        }
    }

    /// The same client with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub async fn health(&self) -> Reply {
        self.get("/health").await
    }

    pub async fn ready(&self) -> Reply {
        self.get("/ready").await
    }

    pub async fn order_create(&self, body: &Value) -> Reply {
        self.call(Method::POST, "/api/orders")
            .json(body)
            .send()
            .await
    }

    /// Lists all orders; `query` is what follows the question mark.
    pub async fn order_list(&self, query: &str) -> Reply {
        self.get(&with_query("/api/orders", query)).await
    }

    pub async fn order_get(&self, id: &str) -> Reply {
        self.get(&format!("/api/orders/{}", encode(id))).await
    }

    pub async fn order_set_status(&self, id: &str, status: &str) -> Reply {
        let path = format!("/api/orders/{}/status", encode(id));
        self.call(Method::PATCH, &path)
            .json(&json!({"status": status}))
            .send()
            .await
    }

    /// Cancels without a body.
    pub async fn order_cancel(&self, id: &str) -> Reply {
        self.call(Method::POST, &format!("/api/orders/{}/cancel", encode(id)))
            .send()
            .await
    }

    pub async fn order_cancel_because(&self, id: &str, reason: &str) -> Reply {
        let path = format!("/api/orders/{}/cancel", encode(id));
        self.call(Method::POST, &path)
            .json(&json!({"reason": reason}))
            .send()
            .await
    }

    /// Lists one user's orders.
    pub async fn user_orders(&self, user_id: &str, query: &str) -> Reply {
        let path = format!("/api/users/{}/orders", encode(user_id));
        self.get(&with_query(&path, query)).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path).send().await
    }

    /// Any call, to be completed with headers and a body.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let call = Call { request };
        match &self.token {
            Some(token) => call.header(AUTHORIZATION.as_str(), &format!("Bearer {token}")),
            None => call,
        }
    }
}

/// A request that has not been sent yet.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    request: reqwest::RequestBuilder,
}

impl Call {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self {
            request: self.request.header(name, value),
        }
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            request: self.request.body(body.into()),
        }
    }

    /// A body of several chunks, whose length the service does not know beforehand.
    pub fn chunks(self, chunks: Vec<Vec<u8>>) -> Self {
        let frames = chunks
            .into_iter()
            .map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))));
        let body = StreamBody::new(stream::iter(frames));
        Self {
            request: self.request.body(reqwest::Body::wrap(body)),
        }
    }

    pub fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json")
            .body(body.to_string())
    }

    /// # Panics
    /// When no answer comes: the service must always answer.
    pub async fn send(self) -> Reply {
        self.try_send()
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// # Errors
    /// When no answer comes, for tests that expect so.
    pub async fn try_send(self) -> Result<Reply, reqwest::Error> {
        let began_at = Instant::now();
        let response = self.request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        Ok(Reply::new(
            status,
            headers,
            body.to_vec(),
            began_at.elapsed(),
        ))
    }
}

/// Percent-encodes one segment of a path, or one value of a query.
#[must_use]
pub fn encode(text: &str) -> String {
    // What needs no encoding stays readable in the output of a failed test.
    const SEGMENT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}
