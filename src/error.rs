//! Everything that can go wrong, and how a client hears of it.
//!
//! What the client sees ([`Error::code`], [`Error::message`]) and what the log says
//! ([`Error::detail`]) are kept apart: nothing internal leaves the service.

use core::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, HeaderValue};

use crate::config::{BadVariable, NEWEST_MIGRATION};
use crate::domain::bounds::{BODY_MAX_BYTES, HEADERS_MAX_BYTES, PAGE_DEPTH_MAX, URI_MAX_BYTES};
use crate::domain::list::BadQuery;
use crate::domain::placing::BadBody;
use crate::domain::pricing::Unpriceable;
use crate::domain::problem::Problem;
use crate::domain::status::Status;
use crate::identity::Unauthenticated;
use crate::platform::postgres::DbError;

/// Why a request did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("unknown path")]
    NotFound,
    #[error("unknown method")]
    MethodNotAllowed,
    #[error("URI too long")]
    UriTooLong,
    #[error("headers too large")]
    HeadersTooLarge,
    #[error("not JSON")]
    UnsupportedMediaType,
    #[error("body too large")]
    PayloadTooLarge,
    #[error("body too slow")]
    RequestTimeout,
    #[error("body cut off")]
    IncompleteBody,
    #[error("malformed JSON: {0}")]
    InvalidJson(String),
    #[error("invalid body")]
    InvalidBody(Vec<Problem>),
    #[error("invalid parameters")]
    InvalidParameters(Vec<Problem>),
    #[error("page too deep")]
    PageTooDeep,
    #[error("invalid order id")]
    InvalidOrderId,
    #[error("unknown order")]
    OrderNotFound,
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    #[error("forbidden")]
    Forbidden,
    /// With the time until there is a request again.
    #[error("rate limited")]
    RateLimited(Duration),
    #[error("there are no keys to verify tokens with")]
    NoKeys,
    #[error("{from} cannot become {to}")]
    InvalidTransition { from: Status, to: Status },
    #[error("{0} cannot be cancelled")]
    NotCancellable(Status),
    /// The version that the order has.
    #[error("the order has version {0}")]
    VersionMismatch(i32),
    #[error("invalid idempotency key: {0}")]
    InvalidIdempotencyKey(String),
    #[error("the idempotency key belongs to another request")]
    IdempotencyKeyReused,
    /// The prices as JSON.
    #[error("the price is not what the client expects")]
    PriceChanged(String),
    #[error("the cursor is older than the feed")]
    CursorExpired,
    #[error("cannot be priced: {0:?}")]
    Unpriceable(Unpriceable),
    #[error("invalid product reply: {0}")]
    InvalidProductReply(String),
    /// A status that a client may have brought about by what it asked for.
    #[error("the product service refused the request: it answered {0}")]
    ProductRequestRefused(StatusCode),
    #[error("product service unavailable: {reason}")]
    ProductServiceUnavailable {
        reason: String,
        /// How long it will not even be asked.
        retry_after: Duration,
    },
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("not ready")]
    NotReady,
    #[error(transparent)]
    Misconfigured(BadVariable),
    /// The same for those who look after the service: names the variable.
    #[error(transparent)]
    NotSetUp(BadVariable),
    #[error("internal error: {0}")]
    Internal(String),
}

/// After which a client may try again, at the soonest.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Error {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::OrderNotFound => StatusCode::NOT_FOUND,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::IncompleteBody
            | Self::InvalidJson(_)
            | Self::InvalidBody(_)
            | Self::InvalidParameters(_)
            | Self::PageTooDeep
            | Self::InvalidIdempotencyKey(_)
            | Self::InvalidOrderId => StatusCode::BAD_REQUEST,
            Self::InvalidTransition { .. } | Self::NotCancellable(_) | Self::PriceChanged(_) => {
                StatusCode::CONFLICT
            }
            Self::VersionMismatch(_) => StatusCode::PRECONDITION_FAILED,
            Self::CursorExpired => StatusCode::GONE,
            Self::Unpriceable(_) | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::InvalidProductReply(_) | Self::ProductRequestRefused(_) => {
                StatusCode::BAD_GATEWAY
            }
            Self::ProductServiceUnavailable { .. }
            | Self::NoKeys
            | Self::NotReady
            | Self::Misconfigured(_)
            | Self::NotSetUp(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(error) if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The machine-readable name of the error, part of the contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::IncompleteBody => "incomplete_body",
            Self::InvalidJson(_) => "invalid_json",
            Self::InvalidBody(_) => "validation_failed",
            Self::InvalidParameters(_) => "invalid_parameter",
            Self::PageTooDeep => "page_too_deep",
            Self::InvalidOrderId => "invalid_order_id",
            Self::OrderNotFound => "order_not_found",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::RateLimited(_) => "rate_limited",
            Self::NoKeys => "authentication_unavailable",
            Self::InvalidTransition { .. } => "invalid_status_transition",
            Self::NotCancellable(_) => "order_not_cancellable",
            Self::VersionMismatch(_) => "version_mismatch",
            Self::InvalidIdempotencyKey(_) => "invalid_idempotency_key",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::PriceChanged(_) => "price_changed",
            Self::CursorExpired => "cursor_expired",
            Self::Unpriceable(Unpriceable::UnknownProduct(_)) => "unknown_product",
            Self::Unpriceable(Unpriceable::InsufficientStock(_)) => "insufficient_stock",
            Self::Unpriceable(Unpriceable::MixedCurrencies(_)) => "mixed_currencies",
            Self::Unpriceable(Unpriceable::TotalTooLarge) => "total_too_large",
            Self::InvalidProductReply(_) | Self::ProductRequestRefused(_) => {
                "invalid_product_reply"
            }
            Self::ProductServiceUnavailable { .. } => "product_service_unavailable",
            Self::NotReady | Self::Database(DbError::NotMigrated(_)) => "not_ready",
            Self::Database(DbError::Overloaded) => "overloaded",
            Self::Database(error) if error.is_passing() => "database_unavailable",
            Self::Misconfigured(_) | Self::NotSetUp(_) => "misconfigured",
            Self::Database(_) | Self::Internal(_) => "internal_error",
        }
    }

    /// One sentence for the person who reads the response.
    pub fn message(&self) -> String {
        match self {
            Self::NotFound => "There is nothing at this path.".into(),
            Self::MethodNotAllowed => "This path does not support the method.".into(),
            Self::UriTooLong => {
                format!("Path and query must have at most {URI_MAX_BYTES} bytes.")
            }
            Self::HeadersTooLarge => {
                format!("The headers must have at most {HEADERS_MAX_BYTES} bytes.")
            }
            Self::UnsupportedMediaType => {
                "The body must be JSON: Content-Type: application/json.".into()
            }
            Self::PayloadTooLarge => format!("The body must have at most {BODY_MAX_BYTES} bytes."),
            Self::RequestTimeout => "The body did not arrive in time.".into(),
            Self::IncompleteBody => "The body ended before it was complete.".into(),
            Self::InvalidJson(reason) => format!("The body is not valid JSON: {reason}."),
            Self::InvalidBody(_) => "The body has invalid fields.".into(),
            Self::InvalidParameters(_) => "The query or the path has invalid parameters.".into(),
            Self::PageTooDeep => format!(
                "Pages reach down to row {PAGE_DEPTH_MAX}; go on with the cursor in pagination.next_cursor."
            ),
            Self::InvalidOrderId => "The order id must be a UUID.".into(),
            Self::OrderNotFound => "There is no order with this id.".into(),
            Self::Unauthenticated(_) => {
                "This needs a valid token: Authorization: Bearer <JWT>.".into()
            }
            Self::Forbidden => "The caller may not do this.".into(),
            Self::RateLimited(_) => "There were too many requests.".into(),
            Self::NoKeys => "The keys to verify tokens with cannot be reached.".into(),
            Self::InvalidTransition { from, to } => match from.next() {
                [] => format!("The order is {from}, which is final; it cannot become {to}."),
                next => {
                    let next: Vec<_> = next.iter().map(|status| status.as_str()).collect();
                    let next = next.join(" or ");
                    format!("The order is {from}; it can become {next}, not {to}.")
                }
            },
            Self::NotCancellable(status) => {
                format!("The order is {status} and can no longer be cancelled.")
            }
            Self::VersionMismatch(version) => {
                format!(
                    "The order has version {version}, which If-Match or If-None-Match rules out."
                )
            }
            Self::InvalidIdempotencyKey(rule) => format!("The Idempotency-Key {rule}."),
            Self::IdempotencyKeyReused => {
                "The user has sent this Idempotency-Key with another request.".into()
            }
            Self::PriceChanged(_) => {
                "The order costs something else than expected_total; nothing was stored.".into()
            }
            Self::CursorExpired => {
                "Events behind this cursor are no longer in the feed; begin again without one."
                    .into()
            }
            Self::Unpriceable(reason) => unpriceable_message(reason).into(),
            Self::InvalidProductReply(_) | Self::ProductRequestRefused(_) => {
                "The product service gave an answer that makes no sense.".into()
            }
            Self::ProductServiceUnavailable { .. } => {
                "The product service cannot be reached; nothing was stored.".into()
            }
            Self::NotReady => "The database does not answer, or its migrations are missing.".into(),
            Self::Database(DbError::NotMigrated(_)) => format!(
                "The database lacks what this version needs: migrations up to {NEWEST_MIGRATION} are to be applied."
            ),
            Self::Database(DbError::Overloaded) => {
                "The database does not answer in time; the request was not tried.".into()
            }
            Self::Database(error) if error.is_passing() => "The database cannot be reached.".into(),
            Self::Misconfigured(_) => "The service has not been set up as it must be.".into(),
            Self::NotSetUp(variable) => format!("The setting {} is not usable.", variable.name),
            Self::Database(_) | Self::Internal(_) => {
                "The service failed; the failure has been logged.".into()
            }
        }
    }

    /// What each input did wrong.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::InvalidBody(problems)
            | Self::InvalidParameters(problems)
            | Self::Unpriceable(
                Unpriceable::UnknownProduct(problems)
                | Unpriceable::InsufficientStock(problems)
                | Unpriceable::MixedCurrencies(problems),
            ) => problems,
            _ => &[],
        }
    }

    /// What a client needs to go on, as JSON.
    pub fn data(&self) -> Option<&str> {
        match self {
            Self::PriceChanged(prices) => Some(prices),
            _ => None,
        }
    }

    /// Seconds after which a client may try again, where that may help.
    pub fn retry_after_s(&self) -> Option<u64> {
        let wait = match self {
            Self::ProductServiceUnavailable { retry_after, .. } => RETRY_AFTER.max(*retry_after),
            Self::RateLimited(wait) => RETRY_AFTER.max(*wait),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => RETRY_AFTER,
            _ => return None,
        };
        let up = u64::from(wait.subsec_nanos() > 0);
        let seconds = wait.as_secs().saturating_add(up);
        Some(seconds)
    }

    /// How the client may show who it is, where it has not (RFC 6750, 3).
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated(Unauthenticated::NoToken) => Some("Bearer"),
            Self::Unauthenticated(Unauthenticated::BadToken(_)) => {
                Some("Bearer error=\"invalid_token\"")
            }
            _ => None,
        }
    }

    /// Whether the log tells the cause: what the service is to blame for, and why a token was
    /// refused, which the client does not hear.
    pub fn is_told(&self) -> bool {
        self.status().is_server_error() || matches!(self, Self::Unauthenticated(_))
    }

    /// Whether it is worth no warning: a client can bring it about although nothing is wrong with
    /// a dependency, or there has been one for many requests together.
    pub fn is_expected(&self) -> bool {
        !self.status().is_server_error()
            || matches!(
                self,
                Self::ProductRequestRefused(_) | Self::Database(DbError::Overloaded)
            )
    }

    /// The cause, for the log alone.
    pub fn detail(&self) -> String {
        self.to_string()
    }
}

fn unpriceable_message(reason: &Unpriceable) -> &'static str {
    match reason {
        Unpriceable::UnknownProduct(_) => "The order has products that are not for sale.",
        Unpriceable::InsufficientStock(_) => {
            "The order has products of which there are not enough."
        }
        Unpriceable::MixedCurrencies(_) => "The products of one order must have one currency.",
        Unpriceable::TotalTooLarge => "The total must be at most 99,999,999.99.",
    }
}

impl From<BadBody> for Error {
    fn from(error: BadBody) -> Self {
        match error {
            BadBody::NotJson(error) => Self::InvalidJson(error.to_string()),
            BadBody::Invalid(problems) => Self::InvalidBody(problems),
        }
    }
}

impl From<BadQuery> for Error {
    fn from(error: BadQuery) -> Self {
        match error {
            BadQuery::Invalid(problems) => Self::InvalidParameters(problems),
            BadQuery::PageTooDeep => Self::PageTooDeep,
        }
    }
}

impl From<Unpriceable> for Error {
    fn from(reason: Unpriceable) -> Self {
        Self::Unpriceable(reason)
    }
}

impl From<serde_json::Error> for Error {
    /// Writing JSON failed; reading it has errors of its own.
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl IntoResponse for Error {
    /// Hands the error to [`crate::http::serve`], which knows the request's id and writes the
    /// envelope and the log line.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Self::VersionMismatch(version) = self {
            let tag = HeaderValue::from_str(&format!("\"{version}\""));
            response
                .headers_mut()
                .extend(tag.ok().map(|tag| (ETAG, tag)));
        }
        response.extensions_mut().insert(self);
        response
    }
}
