//! What handlers take out of a request, each with the errors of the contract.

use core::convert::Infallible;

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http_body_util::BodyExt as _;
use uuid::Uuid;

use crate::context::Context;
use crate::domain::bounds::BODY_MAX_BYTES;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::placing::USER_ID;
use crate::domain::preconditions::Preconditions;
use crate::domain::problem::Problem;
use crate::error::Error;
use crate::platform::headers::content_length;

/// How much of a body that is too large is read before it is refused, in bytes.
const BODY_DRAIN_BYTES: usize = 2 * 1024 * 1024;

/// The text of a JSON body; empty if there is no body at all.
#[derive(Debug)]
pub struct JsonText(pub String);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Error;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Error> {
        let context: Context = request.extract_parts().await?;
        let json = is_json(request.headers());
        let length = content_length(request.headers());
        let body = context
            .deadline
            .limit(read(request.into_body(), length))
            .await
            .map_err(|_| Error::RequestTimeout)??;
        // A body that is not there has no type either.
        if !json && !body.is_empty() {
            return Err(Error::UnsupportedMediaType);
        }
        let text = String::from_utf8(body);
        text.map(Self)
            .map_err(|_| Error::InvalidJson("it is not UTF-8".into()))
    }
}

/// Reads the body, of this length if it is known. Of one that is too large some more is read and
/// thrown away, so that the client has sent it and listens when the answer comes.
async fn read(mut body: Body, length: Option<usize>) -> Result<Vec<u8>, Error> {
    let mut kept = Vec::new();
    let mut seen: usize = 0;
    while length != Some(seen)
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame.map_err(|_| Error::IncompleteBody)?.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen <= BODY_MAX_BYTES {
            kept.extend_from_slice(&data);
        } else if seen > BODY_DRAIN_BYTES {
            break;
        }
    }
    if seen > BODY_MAX_BYTES {
        return Err(Error::PayloadTooLarge);
    }
    Ok(kept)
}

/// Whether the headers announce JSON: `application/json` or `…+json`, in UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = match essence.split_once('/') {
        Some(("application", subtype)) => subtype == "json" || subtype.ends_with("+json"),
        _ => false,
    };
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

/// The order id of the path: a UUID with hyphens, in either case.
#[derive(Debug, Clone, Copy)]
pub struct OrderId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for OrderId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Error::InvalidOrderId)?;
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(Error::InvalidOrderId);
        }
        let id = Uuid::try_parse(&text);
        id.map(Self).map_err(|_| Error::InvalidOrderId)
    }
}

/// The user id of the path.
#[derive(Debug, Clone)]
pub struct UserId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for UserId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let invalid =
            |code, message| Error::InvalidParameters(vec![Problem::new("/user_id", code, message)]);
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(user_id) = path.map_err(|_| invalid("wrong_type", "must be UTF-8".into()))?;
        match USER_ID.check(&user_id) {
            Some((code, message)) => Err(invalid(code, message)),
            None => Ok(Self(user_id)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines = |name| lines(&parts.headers, name);
        Ok(Self::read(&lines(IF_MATCH), &lines(IF_NONE_MATCH)))
    }
}

/// The idempotency key of a creation, if the client has sent one.
#[derive(Debug)]
pub struct Key(pub Option<IdempotencyKey>);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let key = match lines(&parts.headers, IDEMPOTENCY_KEY).as_slice() {
            [] => return Ok(Self(None)),
            [line] => IdempotencyKey::from_header(line),
            _ => Err("must be given once".into()),
        };
        key.map(|key| Self(Some(key)))
            .map_err(Error::InvalidIdempotencyKey)
    }
}

/// The lines of a header; one that is not ASCII is empty.
pub fn lines(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let lines = headers.get_all(name).iter();
    lines
        .map(|line| line.to_str().unwrap_or_default())
        .collect()
}
