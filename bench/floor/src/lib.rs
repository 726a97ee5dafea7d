//! The floor of the platform: the least that a component can do for each load, with connections
//! kept in the instance. It makes the host calls that the order service cannot do without, and
//! neither parses, checks, counts nor logs anything.

mod calls;

use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::try_join_all;
use http::StatusCode;
use send_wrapper::SendWrapper;
use spin_sdk::pg;
use tower_service::Service as _;

use calls::{cache_get, cache_set, product_fetch, text};

thread_local! {
    static ROUTER: RefCell<Option<Router>> = const { RefCell::new(None) };
}

/// A document, put together from what never changes and what does.
const DOCUMENT: &str = "body || ',\"status\":\"' || status || '\",\"version\":' || version
    || ',\"updated_at\":\"'
    || to_char(updated_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || '\"}'";

/// What went wrong, for whoever measures.
struct Failure(String);

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

type Answer = Result<String, Failure>;

#[spin_sdk::http_service]
async fn handle(request: spin_sdk::http::Request) -> Response {
    let mut router = ROUTER.with_borrow_mut(|kept| kept.get_or_insert_with(routes).clone());
    let Ok(response) = router.call(request.map(Body::new)).await;
    response
}

fn routes() -> Router {
    Router::new()
        .route("/noop", get(async || "ok"))
        .route("/redis/{key}", get(|Path(key)| send(redis(key))))
        .route("/read/{id}", get(|Path(id)| send(read(id))))
        .route("/create/{lines}", get(|Path(lines)| send(create(lines))))
        .route("/status/{id}", get(|Path(id)| send(status(id))))
        .route("/page-text/{user_id}", get(|Path(user)| send(page(user))))
        .route(
            "/page-deep/{offset}",
            get(|Path(offset)| send(deep(offset))),
        )
}

/// Futures of host calls are not `Send`, and axum's handlers must be; an instance has one thread.
fn send(answer: impl Future<Output = Answer>) -> impl Future<Output = Answer> + Send {
    SendWrapper::new(answer)
}

async fn redis(key: String) -> Answer {
    let kept = cache_get(&key).await?.ok_or("Redis has no such key")?;
    Ok(String::from_utf8(kept)?)
}

/// Redis, which has nothing, and then one kept document.
async fn read(id: String) -> Answer {
    cache_get(&format!("no:{id}")).await?;
    let statement = format!("select {DOCUMENT} from floor_documents where id = $1::uuid");
    text(statement, vec![pg::ParameterValue::Uuid(id)]).await
}

/// All products at once, and then one statement.
async fn create(lines: i32) -> Answer {
    try_join_all((1..=lines).map(product_fetch)).await?;
    let statement = "
        with placed as (
            insert into floor_orders (user_id, total, address) values ($1, 5.00, 'x') returning id
        )
        insert into floor_items (order_id, product_id, quantity)
        select placed.id, 'p' || n, 1 from placed, generate_series(1, $2::int) as n
        returning order_id::text";
    text(
        statement.to_owned(),
        vec!["u".to_owned().into(), lines.into()],
    )
    .await
}

/// One statement, and then the document to Redis.
async fn status(id: String) -> Answer {
    let statement = format!(
        "update floor_documents
         set status = 'confirmed', version = version + 1, updated_at = clock_timestamp()
         where id = $1::uuid
         returning {DOCUMENT}"
    );
    let document = text(statement, vec![pg::ParameterValue::Uuid(id.clone())]).await?;
    cache_set(&id, document.as_bytes()).await?;
    Ok(document)
}

/// A user's newest twenty, as kept text in one cell.
async fn page(user_id: String) -> Answer {
    let statement = format!(
        "select string_agg({DOCUMENT}, ',' order by created_at desc, id desc)
         from (
             select * from floor_documents where user_id = $1
             order by created_at desc, id desc limit 20
         ) as page"
    );
    text(statement, vec![user_id.into()]).await
}

/// Twenty of all, so many rows deep.
async fn deep(offset: i64) -> Answer {
    let statement = format!(
        "select string_agg({DOCUMENT}, ',' order by created_at desc, id desc)
         from (
             select * from floor_documents
             order by created_at desc, id desc limit 20 offset $1
         ) as page"
    );
    text(statement, vec![offset.into()]).await
}
