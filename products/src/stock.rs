//! Stock of the sample catalogue, which can be taken and given back.
//!
//! `POST /api/products/{id}/update_stock/` with `{"operation": "subtract" | "add", "quantity": n}`
//! answers with what is left. A request with an `Idempotency-Key` has its effect once, however
//! often it comes; a refused one leaves no trace. Stock and keys last as long as the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::catalogue::{Catalogue, Product};

/// What is left of each product.
#[derive(Debug, Default)]
pub struct Stock(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    /// Of the products that were touched; all others have what the catalogue says.
    left: HashMap<String, u64>,
    /// What was done under each key.
    done: HashMap<String, (Move, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    product_id: String,
    is_take: bool,
    quantity: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Left { stock: u64, is_replay: bool },
    Insufficient,
    KeyReused,
}

impl Stock {
    /// The product as the catalogue shows it, with what is left of it.
    #[must_use]
    pub fn shown(&self, product: &Product) -> Value {
        let shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = product.to_json();
        if let Some(&left) = shelves.left.get(&product.id) {
            shown["stock"] = left.into();
        }
        shown
    }

    fn apply(&self, at_first: u64, wanted: &Move, key: Option<&str>) -> Outcome {
        let mut shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((done, stock)) = key.and_then(|key| shelves.done.get(key)) {
            return match done == wanted {
                true => Outcome::Left {
                    stock: *stock,
                    is_replay: true,
                },
                false => Outcome::KeyReused,
            };
        }
        let left = shelves.left.get(&wanted.product_id).copied();
        let left = left.unwrap_or(at_first);
        let after = match wanted.is_take {
            true => left.checked_sub(wanted.quantity),
            false => left.checked_add(wanted.quantity),
        };
        let Some(stock) = after else {
            return Outcome::Insufficient;
        };
        shelves.left.insert(wanted.product_id.clone(), stock);
        if let Some(key) = key {
            shelves.done.insert(key.to_owned(), (wanted.clone(), stock));
        }
        Outcome::Left {
            stock,
            is_replay: false,
        }
    }
}

/// The routes that change stock.
pub fn routes() -> Router<Arc<Catalogue>> {
    Router::new().route("/api/products/{id}/update_stock/", post(stock_update))
}

async fn stock_update(
    State(catalogue): State<Arc<Catalogue>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(product) = catalogue.get(&id) else {
        return failure(404, "unknown_product", "there is no such product");
    };
    let Some(wanted) = parse(&id, &body) else {
        let message = "wanted: {\"operation\": \"subtract\" or \"add\", \"quantity\": 1 or more}";
        return failure(400, "invalid_request", message);
    };
    let key = headers.get("idempotency-key");
    let key = key.and_then(|value| value.to_str().ok());
    match catalogue.stock().apply(product.stock.into(), &wanted, key) {
        Outcome::Left { stock, is_replay } => {
            let data = json!({"status": "success", "data": {"id": id, "stock": stock}});
            let mut response = reply(200, &data);
            if is_replay {
                let replayed = header::HeaderValue::from_static("true");
                response
                    .headers_mut()
                    .insert("idempotent-replayed", replayed);
            }
            response
        }
        Outcome::Insufficient => failure(409, "insufficient_stock", "there is not so much of it"),
        Outcome::KeyReused => {
            let message = "the key belongs to another request";
            failure(422, "idempotency_key_reused", message)
        }
    }
}

fn parse(product_id: &str, body: &[u8]) -> Option<Move> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let is_take = match body.get("operation")?.as_str()? {
        "subtract" => true,
        "add" => false,
        _ => return None,
    };
    let quantity = body.get("quantity")?.as_u64().filter(|&count| count > 0)?;
    Some(Move {
        product_id: product_id.to_owned(),
        is_take,
        quantity,
    })
}

fn failure(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"status": "error", "code": code, "message": message});
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(quantity: u64) -> Move {
        Move {
            product_id: "p1".into(),
            is_take: true,
            quantity,
        }
    }

    fn left(stock: u64, is_replay: bool) -> Outcome {
        Outcome::Left { stock, is_replay }
    }

    #[test]
    fn a_key_takes_once_and_is_answered_alike() {
        let stock = Stock::default();

        assert_eq!(stock.apply(5, &take(2), Some("a")), left(3, false));
        assert_eq!(stock.apply(5, &take(1), Some("b")), left(2, false));
        assert_eq!(stock.apply(5, &take(2), Some("a")), left(3, true));
        assert_eq!(stock.apply(5, &take(1), None), left(1, false));
        assert_eq!(stock.apply(5, &take(1), None), left(0, false));
    }

    #[test]
    fn a_key_of_another_request_does_nothing() {
        let stock = Stock::default();
        stock.apply(5, &take(2), Some("a"));

        assert_eq!(stock.apply(5, &take(3), Some("a")), Outcome::KeyReused);
        assert_eq!(stock.apply(5, &take(1), None), left(2, false));
    }

    #[test]
    fn what_was_refused_may_succeed_later_under_its_key() {
        let stock = Stock::default();
        let give_back = Move {
            is_take: false,
            ..take(4)
        };

        assert_eq!(stock.apply(3, &take(4), Some("a")), Outcome::Insufficient);
        assert_eq!(stock.apply(3, &give_back, None), left(7, false));
        assert_eq!(stock.apply(3, &take(4), Some("a")), left(3, false));
    }
}
