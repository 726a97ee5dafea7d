//! The sample catalogue: deterministic, so that a README example works on every machine.

mod names;
mod numbered;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::stock::{self, Stock};
use names::{CATEGORIES, MATERIALS, PRICE_ENDINGS, STYLES};

/// How many products each family of ids has: `p1`…`p1000`, `prod1`…`prod1000`, and UUIDs.
const FAMILY_SIZE: u32 = 1000;

/// The product of the README's example, and its price.
const README_PRODUCT: (&str, u64) = ("550e8400-e29b-41d4-a716-446655440000", 2999);

/// One product as the service shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub category: &'static str,
    pub price_cents: u64,
    pub currency: &'static str,
    pub stock: u32,
    pub is_active: bool,
}

/// All products, in the order they are listed, and found by id.
#[derive(Debug)]
pub struct Catalogue {
    products: Vec<Product>,
    position_by_id: HashMap<String, usize>,
    stock: Stock,
}

impl Catalogue {
    /// The few thousand products that `sample-products` serves.
    #[must_use]
    pub fn sample() -> Self {
        let mut products = vec![readme_product()];
        products.extend(special_products());
        for number in 1..=FAMILY_SIZE {
            products.push(sample_product(format!("p{number}"), number));
            products.push(sample_product(
                format!("prod{number}"),
                number + FAMILY_SIZE,
            ));
            products.push(sample_product(
                sample_uuid(number),
                number + 2 * FAMILY_SIZE,
            ));
        }
        let position_by_id = products
            .iter()
            .enumerate()
            .map(|(position, product)| (product.id.clone(), position))
            .collect();
        Self {
            products,
            position_by_id,
            stock: Stock::default(),
        }
    }

    #[must_use]
    pub fn stock(&self) -> &Stock {
        &self.stock
    }

    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Product> {
        self.position_by_id
            .get(id)
            .and_then(|&position| self.products.get(position))
    }

    #[must_use]
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// The same, for those who ask for `host` by name; everybody else is refused with 400, as
    /// frameworks do that are told their own names.
    pub fn router_for(self, host: &'static str) -> Router {
        let refuse = move |request: Request, next: Next| async move {
            let named = request.headers().get(header::HOST);
            match named.is_some_and(|named| named == host) {
                true => next.run(request).await,
                false => (StatusCode::BAD_REQUEST, "<h1>Bad Request (400)</h1>").into_response(),
            }
        };
        self.router().layer(from_fn(refuse))
    }

    /// The catalogue over HTTP: one product, a page of products, and a health check. Products
    /// with numbers for ids are found in more ways than one, see `numbered`.
    pub fn router(self) -> Router {
        Router::new()
            .route(
                "/health",
                get(async || reply(StatusCode::OK, &json!({"status": "success"}))),
            )
            .route("/api/products/", get(product_list))
            .route("/api/products/{id}/", get(product_get))
            .route("/api/products/{id}", get(product_redirect))
            .merge(stock::routes())
            .fallback(async || not_found("No such page."))
            .with_state(Arc::new(self))
    }
}

impl Product {
    /// The product as the contract wants it: the price as a decimal string.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "category": self.category,
            "price": format!("{}.{:02}", self.price_cents / 100, self.price_cents % 100),
            "currency": self.currency,
            "stock": self.stock,
            "is_active": self.is_active,
        })
    }
}

async fn product_get(State(catalogue): State<Arc<Catalogue>>, Path(id): Path<String>) -> Response {
    match catalogue.get(&id) {
        Some(product) => reply(
            StatusCode::OK,
            &json!({"status": "success", "data": catalogue.stock.shown(product)}),
        ),
        None => numbered::answer(&id),
    }
}

/// Many frameworks want the slash at the end, and redirect to it when it is missing.
async fn product_redirect(uri: axum::http::Uri) -> Redirect {
    Redirect::permanent(&format!("{}/", uri.path()))
}

async fn product_list(
    State(catalogue): State<Arc<Catalogue>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let number = |name: &str, default: usize| {
        query
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
            .max(1)
    };
    let (page, page_size) = (number("page", 1), number("page_size", 20).min(100));
    let total = catalogue.products().len();
    let data: Vec<Value> = catalogue
        .products()
        .iter()
        .skip((page - 1).saturating_mul(page_size))
        .take(page_size)
        .map(|product| catalogue.stock.shown(product))
        .collect();
    reply(
        StatusCode::OK,
        &json!({
            "status": "success",
            "data": data,
            "pagination": {
                "page": page,
                "page_size": page_size,
                "total": total,
                "total_pages": total.div_ceil(page_size),
            },
        }),
    )
}

fn not_found(message: &str) -> Response {
    reply(
        StatusCode::NOT_FOUND,
        &json!({"status": "error", "message": message}),
    )
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

fn readme_product() -> Product {
    let (id, price_cents) = README_PRODUCT;
    Product {
        id: id.to_owned(),
        name: "Walnut Desk Lamp".to_owned(),
        category: "Lighting",
        price_cents,
        currency: "USD",
        stock: 1_000_000,
        is_active: true,
    }
}

/// One product for each answer that is not simply a price, so that they can be tried by hand.
fn special_products() -> [Product; 4] {
    let product = |id: &str, name: &str, category| Product {
        id: id.to_owned(),
        name: name.to_owned(),
        category,
        price_cents: 4900,
        currency: "USD",
        stock: 1_000_000,
        is_active: true,
    };
    [
        Product {
            is_active: false,
            ..product("retired", "Brass Mantel Clock", "Decoration")
        },
        Product {
            stock: 3,
            ..product("scarce", "Signed First Edition", "Books")
        },
        Product {
            stock: 0,
            ..product("sold-out", "Copper Kettle", "Kitchen")
        },
        Product {
            currency: "EUR",
            ..product("euro", "Linen Tablecloth", "Kitchen")
        },
    ]
}

fn sample_product(id: String, number: u32) -> Product {
    let mut random = Mixer(u64::from(number));
    let (category, things, lowest, highest) = random.pick(&CATEGORIES);
    let name = format!(
        "{} {} {}",
        random.pick(&STYLES),
        random.pick(&MATERIALS),
        random.pick(&things)
    );
    let dollars = (lowest + random.next() % (highest - lowest)) / 100;
    Product {
        id,
        name,
        category,
        price_cents: dollars * 100 + random.pick(&PRICE_ENDINGS),
        currency: "USD",
        stock: 1_000_000,
        is_active: true,
    }
}

/// A UUID that looks like any other (version 4), and is the same on every machine.
fn sample_uuid(number: u32) -> String {
    let mut random = Mixer(u64::from(number) << 32);
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff,
    )
}

/// SplitMix64: a few lines that mix a number well enough for names and prices.
struct Mixer(u64);

impl Mixer {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let position = self.next() % choices.len() as u64;
        choices[usize::try_from(position).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_the_examples_exist_and_are_priced() {
        let catalogue = Catalogue::sample();

        for id in ["p1", "p1000", "prod123", README_PRODUCT.0] {
            assert!(
                catalogue
                    .get(id)
                    .is_some_and(|product| product.price_cents > 0),
                "{id}"
            );
        }
        assert_eq!(
            catalogue.get(README_PRODUCT.0).unwrap().to_json()["price"],
            "29.99"
        );
    }

    #[test]
    fn every_id_is_there_once_and_the_catalogue_is_always_the_same() {
        let (one, other) = (Catalogue::sample(), Catalogue::sample());

        assert_eq!(one.products(), other.products());
        assert_eq!(one.position_by_id.len(), one.products().len());
        assert_eq!(one.products().len(), 3005);
    }
}
