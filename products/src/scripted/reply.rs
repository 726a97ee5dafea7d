//! What the controllable product service may reply.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::log::Entry;

/// One reply. It starts as one of the constructors and is changed by the methods.
#[derive(Debug, Clone)]
pub struct Reply {
    content: Content,
    delay: Duration,
    pace: Pace,
    headers: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Clone)]
enum Content {
    /// A product with the id that was asked for; the other fields as raw JSON.
    Product(Vec<(String, String)>),
    Raw {
        status: u16,
        content_type: &'static str,
        body: Bytes,
    },
    Redirect {
        status: u16,
        location: String,
    },
    Nothing,
}

#[derive(Debug, Clone, Copy)]
enum Pace {
    AtOnce,
    /// One byte of the body per interval.
    Drip(Duration),
    /// Half of the body, and then the connection breaks.
    BrokenOff,
}

impl Reply {
    /// A product with its price as a decimal string.
    #[must_use]
    pub fn priced(price: &str) -> Self {
        Self::product().with("price", price)
    }

    /// A product with a name and nothing else: add the fields with [`Reply::with`].
    #[must_use]
    pub fn product() -> Self {
        Self::new(Content::Product(Vec::new())).with("name", "A product")
    }

    /// A product with one more field.
    ///
    /// # Panics
    /// When the reply is not a product.
    #[must_use]
    pub fn with(self, field: &str, value: impl Into<Value>) -> Self {
        self.with_raw(field, &value.into().to_string())
    }

    /// The same with the field's JSON as text, for numbers that must not be rewritten on the way.
    ///
    /// # Panics
    /// When the reply is not a product.
    #[must_use]
    pub fn with_raw(mut self, field: &str, raw_json: &str) -> Self {
        let Content::Product(fields) = &mut self.content else {
            panic!("only a product has fields");
        };
        fields.push((field.to_owned(), raw_json.to_owned()));
        self
    }

    /// A status with a small JSON body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::raw(
            status,
            json!({"status": "error", "message": "scripted"}).to_string(),
        )
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::status(404)
    }

    /// Any body under `application/json`, whether it is JSON or not.
    #[must_use]
    pub fn raw(status: u16, body: impl Into<Bytes>) -> Self {
        Self::typed(status, "application/json", body)
    }

    #[must_use]
    pub fn typed(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Content::Raw {
            status,
            content_type,
            body: body.into(),
        })
    }

    #[must_use]
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::new(Content::Redirect {
            status,
            location: location.into(),
        })
    }

    /// Takes the request and never replies.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Content::Nothing)
    }

    /// Waits before it replies.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The head comes at once, and the body one byte per `interval`.
    #[must_use]
    pub fn dripping(mut self, interval: Duration) -> Self {
        self.pace = Pace::Drip(interval);
        self
    }

    /// The connection breaks in the middle of the body.
    #[must_use]
    pub fn broken_off(mut self) -> Self {
        self.pace = Pace::BrokenOff;
        self
    }

    /// One more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn new(content: Content) -> Self {
        Self {
            content,
            delay: Duration::ZERO,
            pace: Pace::AtOnce,
            headers: Vec::new(),
        }
    }

    pub(super) async fn send(self, product_id: &str, entry: Entry) -> Response<Body> {
        tokio::time::sleep(self.delay).await;
        let (status, name, value, body) = match self.content {
            Content::Product(fields) => {
                let body = Bytes::from(product_body(product_id, &fields));
                (
                    200,
                    header::CONTENT_TYPE,
                    "application/json".to_owned(),
                    body,
                )
            }
            Content::Raw {
                status,
                content_type,
                body,
            } => (status, header::CONTENT_TYPE, content_type.to_owned(), body),
            Content::Redirect { status, location } => {
                (status, header::LOCATION, location, Bytes::new())
            }
            Content::Nothing => std::future::pending().await,
        };
        let mut response = Response::new(paced(self.pace, body, entry));
        *response.status_mut() = StatusCode::from_u16(status).expect("a scripted status is valid");
        let value = value.parse().expect("a scripted header value is valid");
        response.headers_mut().insert(name, value);
        for (name, value) in self.headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<Reply> for Vec<Reply> {
    fn from(reply: Reply) -> Self {
        vec![reply]
    }
}

fn product_body(product_id: &str, fields: &[(String, String)]) -> String {
    let mut data = format!(r#"{{"id":{}"#, json!(product_id));
    for (name, raw_json) in fields {
        data.push_str(&format!(",{}:{raw_json}", json!(name)));
    }
    format!(r#"{{"status":"success","data":{data}}}}}"#)
}

/// The body at its pace. It keeps the log entry, so that the request ends when the body does.
fn paced(pace: Pace, body: Bytes, entry: Entry) -> Body {
    match pace {
        Pace::AtOnce => Body::from_stream(stream::once(async move {
            let _entry = entry;
            Ok::<_, Infallible>(body)
        })),
        Pace::Drip(interval) => Body::from_stream(stream::unfold(
            (body, entry),
            move |(mut rest, entry)| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(interval).await;
                let first = rest.split_to(1);
                Some((Ok::<_, Infallible>(first), (rest, entry)))
            },
        )),
        Pace::BrokenOff => {
            let half = body.slice(..body.len() / 2);
            let broken = stream::once(async move {
                // The half must be on its way before the connection breaks.
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(entry);
                Err(io::Error::other("broken off as scripted"))
            });
            Body::from_stream(stream::iter([Ok(half)]).chain(broken))
        }
    }
}
