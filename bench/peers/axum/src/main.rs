//! The order service as a native server, for `make bench` to compare with: axum, tokio-postgres
//! with deadpool, redis and reqwest. The same calls and the same checks, without idempotency,
//! events, counters, log lines or retries: what is compared is the platform.
//!
//! Environment: `DATABASE_URL`, `REDIS_URL`, `PRODUCT_SERVICE_URL` and `LISTEN`, all required.

mod error;
mod model;
mod store;

use std::{collections::HashMap, env, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, patch},
    serve::ListenerExt,
};
use chrono::{SubsecRound, Utc};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redis::{AsyncCommands, aio::ConnectionManager};
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

use error::ApiError;
use model::{CreateOrder, Order, OrderItem, PageQuery, Pagination, ProductEnvelope, UpdateStatus};

const POOL_SIZE: usize = 32;
const CACHE_TTL_SECONDS: u64 = 300;
/// Product look-ups in flight at once for one order.
const PRODUCT_FETCHES: usize = 16;
/// decimal(10,2)
const MAX_AMOUNT: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 2);

struct App {
    db: Pool,
    cache: ConnectionManager,
    http: reqwest::Client,
    product_url: String,
}

type Shared = State<Arc<App>>;
type ApiResult = Result<Response, ApiError>;

#[derive(Serialize)]
struct Envelope<T> {
    status: &'static str,
    message: &'static str,
    data: T,
}

fn success<T: Serialize>(code: StatusCode, message: &'static str, data: T) -> Response {
    (
        code,
        Json(Envelope {
            status: "success",
            message,
            data,
        }),
    )
        .into_response()
}

/// A success envelope around data that is JSON already (the cached order).
fn success_raw(message: &str, data: &[u8]) -> Response {
    let head = format!(r#"{{"status":"success","message":"{message}","data":"#);
    let mut body = Vec::with_capacity(head.len() + data.len() + 1);
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(data);
    body.push(b'}');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn cache_key(id: Uuid) -> String {
    format!("order:{id}")
}

fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(id).map_err(|_| ApiError::bad_request("Invalid order id"))
}

fn parse_body<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request(format!("Invalid JSON body: {e}")))
}

async fn health() -> Response {
    success(
        StatusCode::OK,
        "Service is healthy",
        serde_json::json!({ "service": "axum-peer" }),
    )
}

impl App {
    /// The id and unit price of a product, once it is known to exist, to be active and to be in stock.
    async fn unit_price<'a>(
        &self,
        product_id: &'a str,
        wanted: i64,
    ) -> Result<(&'a str, Decimal), ApiError> {
        let id = utf8_percent_encode(product_id, NON_ALPHANUMERIC);
        let url = format!("{}/api/products/{id}/", self.product_url);
        let response = self.http.get(url).send().await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Err(ApiError::bad_request(format!(
                "Product {product_id} not found"
            )));
        }
        let product = response
            .error_for_status()?
            .json::<ProductEnvelope>()
            .await?
            .data;
        if !product.is_active {
            return Err(ApiError::bad_request(format!(
                "Product {product_id} is not available"
            )));
        }
        if product.stock < wanted {
            return Err(ApiError::bad_request(format!(
                "Insufficient stock for product {product_id}"
            )));
        }
        let mut price = product.price;
        price.rescale(2);
        if price != product.price || price.is_sign_negative() || price > MAX_AMOUNT {
            return Err(ApiError::Upstream(format!(
                "product {product_id} has price {}",
                product.price
            )));
        }
        Ok((product_id, price))
    }
}

async fn create_order(State(app): Shared, body: Bytes) -> ApiResult {
    let request: CreateOrder = parse_body(&body)?;
    request.validate()?;

    let mut wanted: HashMap<&str, i64> = HashMap::new();
    for item in &request.order_items {
        *wanted.entry(&item.product_id).or_default() += i64::from(item.quantity);
    }
    let fetches: Vec<_> = wanted
        .into_iter()
        .map(|(id, quantity)| app.unit_price(id, quantity))
        .collect();
    let prices: HashMap<&str, Decimal> = stream::iter(fetches)
        .buffer_unordered(PRODUCT_FETCHES)
        .try_collect()
        .await?;

    // Postgres keeps microseconds.
    let now = Utc::now().trunc_subsecs(6);
    let order_id = Uuid::now_v7();
    let items: Vec<OrderItem> = request
        .order_items
        .iter()
        .map(|item| {
            let unit_price = prices[item.product_id.as_str()];
            OrderItem {
                id: Uuid::now_v7(),
                order_id,
                product_id: item.product_id.clone(),
                quantity: item.quantity,
                unit_price,
                subtotal: unit_price * Decimal::from(item.quantity),
                created_at: now,
                updated_at: now,
            }
        })
        .collect();
    let total_amount: Decimal = items.iter().map(|item| item.subtotal).sum();
    if total_amount > MAX_AMOUNT {
        return Err(ApiError::bad_request("Order total is too large"));
    }
    let order = Order {
        id: order_id,
        user_id: request.user_id,
        status: "pending".to_owned(),
        total_amount,
        currency: "USD".to_owned(),
        shipping_address: request.shipping_address,
        billing_address: request.billing_address,
        notes: request.notes,
        created_at: now,
        updated_at: now,
        order_items: items,
    };
    store::insert_order(&app.db, &order).await?;
    Ok(success(StatusCode::CREATED, "Order created", order))
}

async fn get_order(State(app): Shared, Path(id): Path<String>) -> ApiResult {
    const MESSAGE: &str = "Order retrieved";
    let id = parse_id(&id)?;
    let key = cache_key(id);
    let mut cache = app.cache.clone();
    // A cache that fails must not fail the request.
    match cache.get::<_, Option<Vec<u8>>>(&key).await {
        Ok(Some(json)) => return Ok(success_raw(MESSAGE, &json)),
        Ok(None) => {}
        Err(e) => eprintln!("cache get {key}: {e}"),
    }
    let order = store::find_order(&app.db, id)
        .await?
        .ok_or(ApiError::OrderNotFound)?;
    let json = serde_json::to_vec(&order)?;
    if let Err(e) = cache
        .set_ex::<_, _, ()>(&key, &json, CACHE_TTL_SECONDS)
        .await
    {
        eprintln!("cache set {key}: {e}");
    }
    Ok(success_raw(MESSAGE, &json))
}

async fn update_status(State(app): Shared, Path(id): Path<String>, body: Bytes) -> ApiResult {
    let id = parse_id(&id)?;
    let UpdateStatus { status } = parse_body(&body)?;
    // The statuses from which the wanted one can be reached.
    let from: &[&str] = match status.as_str() {
        "confirmed" => &["pending"],
        "shipped" => &["confirmed"],
        "delivered" => &["shipped"],
        "cancelled" => &["pending", "confirmed"],
        "pending" => &[],
        _ => return Err(ApiError::bad_request(format!("Unknown status {status:?}"))),
    };
    let Some(order) = store::update_status(&app.db, id, &status, from).await? else {
        let current = store::find_status(&app.db, id)
            .await?
            .ok_or(ApiError::OrderNotFound)?;
        return Err(ApiError::Conflict(format!(
            "Cannot change status from {current} to {status}"
        )));
    };
    let key = cache_key(id);
    if let Err(e) = app.cache.clone().del::<_, ()>(&key).await {
        eprintln!("cache del {key}: {e}");
    }
    Ok(success(StatusCode::OK, "Order status updated", order))
}

type Page = Result<Query<PageQuery>, QueryRejection>;

async fn list_orders(State(app): Shared, page: Page) -> ApiResult {
    list(&app, None, page?.0).await
}

async fn list_user_orders(
    State(app): Shared,
    Path(user_id): Path<String>,
    page: Page,
) -> ApiResult {
    model::require_id("user_id", &user_id)?;
    list(&app, Some(&user_id), page?.0).await
}

async fn list(app: &App, user_id: Option<&str>, query: PageQuery) -> ApiResult {
    #[derive(Serialize)]
    struct OrderPage {
        status: &'static str,
        data: Vec<Order>,
        pagination: Pagination,
    }
    let (page, page_size) = query.validate()?;
    let (orders, total) =
        store::list_orders(&app.db, user_id, page_size, (page - 1) * page_size).await?;
    let pagination = Pagination {
        page,
        page_size,
        total,
        total_pages: (total + page_size - 1) / page_size,
    };
    let page = OrderPage {
        status: "success",
        data: orders,
        pagination,
    };
    Ok(Json(page).into_response())
}

fn setting(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set"))
}

async fn shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM handler");
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database_url = setting("DATABASE_URL")?;
    let redis_url = setting("REDIS_URL")?;
    let product_url = setting("PRODUCT_SERVICE_URL")?;
    let listen = setting("LISTEN")?;

    let manager = Manager::from_config(
        database_url.parse()?,
        tokio_postgres::NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let db = Pool::builder(manager)
        .max_size(POOL_SIZE)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(Duration::from_secs(5)))
        .create_timeout(Some(Duration::from_secs(5)))
        .build()?;
    let cache = ConnectionManager::new(redis::Client::open(redis_url)?).await?;
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()?;
    let product_url = product_url.trim_end_matches('/').to_owned();

    let app = Router::new()
        .route("/health", get(health))
        .route("/api/orders", get(list_orders).post(create_order))
        .route("/api/orders/{id}", get(get_order))
        .route("/api/orders/{id}/status", patch(update_status))
        .route("/api/users/{user_id}/orders", get(list_user_orders))
        .with_state(Arc::new(App {
            db,
            cache,
            http,
            product_url,
        }));

    let listener = tokio::net::TcpListener::bind(&listen).await?;
    let listener = listener.tap_io(|tcp| _ = tcp.set_nodelay(true));
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown())
        .await?;
    Ok(())
}
