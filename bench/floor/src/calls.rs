//! One function for each kind of host call.

use std::cell::RefCell;
use std::rc::Rc;

use http_body_util::BodyExt as _;
use spin_sdk::http::{EmptyBody, send};
use spin_sdk::{pg, redis, variables};

use crate::{Answer, Failure};

thread_local! {
    static REDIS: RefCell<Option<Rc<redis::Connection>>> = const { RefCell::new(None) };
    static POSTGRES: RefCell<Option<Rc<pg::Connection>>> = const { RefCell::new(None) };
}

async fn redis_connection() -> Result<Rc<redis::Connection>, Failure> {
    if let Some(kept) = REDIS.with_borrow(Clone::clone) {
        return Ok(kept);
    }
    let url = variables::get("redis_url").await?;
    let opened = Rc::new(redis::Connection::open(&url).await?);
    REDIS.set(Some(Rc::clone(&opened)));
    Ok(opened)
}

async fn postgres_connection() -> Result<Rc<pg::Connection>, Failure> {
    if let Some(kept) = POSTGRES.with_borrow(Clone::clone) {
        return Ok(kept);
    }
    let url = variables::get("database_url").await?;
    let opened = Rc::new(pg::Connection::open(&url).await?);
    POSTGRES.set(Some(Rc::clone(&opened)));
    Ok(opened)
}

pub async fn cache_get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(redis_connection().await?.get(key).await?)
}

pub async fn cache_set(key: &str, value: &[u8]) -> Result<(), Failure> {
    Ok(redis_connection().await?.set(key, value).await?)
}

/// The text in the first cell; nothing where there is none.
pub async fn text(statement: String, params: Vec<pg::ParameterValue>) -> Answer {
    let connection = postgres_connection().await?;
    let mut result = connection.query(statement, params).await?;
    let mut text = String::new();
    while let Some(row) = result.rows().next().await {
        if let Some(pg::DbValue::Str(cell)) = row.into_iter().next() {
            text = cell;
        }
    }
    result.result().await?;
    Ok(text)
}

pub async fn product_fetch(number: i32) -> Answer {
    let url = variables::get("product_service_url").await?;
    let request = http::Request::get(format!("{url}/api/products/p{number}/"));
    let response = send(request.body(EmptyBody::new())?).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(body.len().to_string())
}
