//! From a request and the products' prices to an order.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::money::Money;
use super::order::{Order, OrderItem};
use super::placing::OrderRequest;
use super::problem::Problem;

/// What the product service says of a product, as far as an order is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub price: Money,
    /// ISO 4217.
    pub currency: String,
    /// Pieces on stock; `None` if the product service does not count them.
    pub stock: Option<i64>,
    /// When the price was seen, if it is the last known one; `None` if it is today's.
    pub price_as_of: Option<DateTime<Utc>>,
}

/// Why a request cannot become an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpriceable {
    UnknownProduct(Vec<Problem>),
    InsufficientStock(Vec<Problem>),
    MixedCurrencies(Vec<Problem>),
    TotalTooLarge,
}

/// Prices `request`; `product` answers for each product id, `None` meaning that it cannot be
/// ordered. `new_id` makes the ids of the order and, after it, of its items.
pub fn price<'p>(
    request: OrderRequest,
    product: impl Fn(&str) -> Option<&'p Product>,
    now: DateTime<Utc>,
    mut new_id: impl FnMut() -> Uuid,
) -> Result<Order, Unpriceable> {
    let products = known_products(&request, &product)?;
    check_stock(&request, &products)?;
    let currency = common_currency(&products)?;

    let order_id = new_id();
    let mut total_amount = Money::ZERO;
    let mut order_items = Vec::with_capacity(products.len());
    for (line, product) in request.lines.into_iter().zip(products) {
        let subtotal = product.price.times(line.quantity);
        let subtotal = subtotal.ok_or(Unpriceable::TotalTooLarge)?;
        total_amount = total_amount
            .plus(subtotal)
            .ok_or(Unpriceable::TotalTooLarge)?;
        order_items.push(OrderItem {
            id: new_id(),
            product_id: line.product_id,
            quantity: line.quantity,
            unit_price: product.price,
            subtotal,
            price_as_of: product.price_as_of,
        });
    }
    Ok(Order {
        id: order_id,
        user_id: request.user_id,
        total_amount,
        currency,
        shipping_address: request.shipping_address,
        billing_address: request.billing_address,
        notes: request.notes,
        order_items,
        created_at: now,
        idempotency: None,
    })
}

fn problem(line: usize, field: &str, code: &'static str, message: &str) -> Problem {
    Problem::new(format!("/order_items/{line}/{field}"), code, message)
}

/// The product of each line.
fn known_products<'p>(
    request: &OrderRequest,
    product: impl Fn(&str) -> Option<&'p Product>,
) -> Result<Vec<&'p Product>, Unpriceable> {
    let mut products = Vec::with_capacity(request.lines.len());
    let mut problems = Vec::new();
    for (index, line) in request.lines.iter().enumerate() {
        match product(&line.product_id) {
            Some(product) => products.push(product),
            None => problems.push(problem(
                index,
                "product_id",
                "unknown_product",
                "there is no such product for sale",
            )),
        }
    }
    if problems.is_empty() {
        Ok(products)
    } else {
        Err(Unpriceable::UnknownProduct(problems))
    }
}

/// Several lines of one product need its stock together.
fn check_stock(request: &OrderRequest, products: &[&Product]) -> Result<(), Unpriceable> {
    let mut problems = Vec::new();
    for (index, (line, product)) in request.lines.iter().zip(products).enumerate() {
        let Some(stock) = product.stock else { continue };
        let wanted: i64 = request
            .lines
            .iter()
            .filter(|other| other.product_id == line.product_id)
            .map(|other| i64::from(other.quantity))
            .sum();
        if wanted > stock {
            problems.push(problem(
                index,
                "quantity",
                "insufficient_stock",
                "there is not enough of this product on stock",
            ));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Unpriceable::InsufficientStock(problems))
    }
}

fn common_currency(products: &[&Product]) -> Result<String, Unpriceable> {
    let currency = products.first().map(|product| product.currency.as_str());
    let currency = currency.unwrap_or_default();
    let problems: Vec<_> = products
        .iter()
        .enumerate()
        .filter(|(_, product)| product.currency != currency)
        .map(|(index, _)| {
            let message = "has another currency than the first item";
            problem(index, "product_id", "mixed_currencies", message)
        })
        .collect();
    if problems.is_empty() {
        Ok(currency.to_owned())
    } else {
        Err(Unpriceable::MixedCurrencies(problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placing::LineRequest;

    fn product(price: &str, stock: Option<i64>, currency: &str) -> Product {
        Product {
            price: Money::parse(price).unwrap_or(Money::ZERO),
            currency: currency.into(),
            stock,
            price_as_of: None,
        }
    }

    fn request(lines: &[(&str, i32)]) -> OrderRequest {
        OrderRequest {
            user_id: "u".into(),
            shipping_address: "s".into(),
            billing_address: "s".into(),
            notes: None,
            expected_total: None,
            lines: lines
                .iter()
                .map(|&(id, quantity)| LineRequest {
                    product_id: id.into(),
                    quantity,
                })
                .collect(),
        }
    }

    fn priced(lines: &[(&str, i32)], product: &Product) -> Result<Order, Unpriceable> {
        price(request(lines), |_| Some(product), Utc::now(), Uuid::now_v7)
    }

    #[test]
    fn the_total_is_the_exact_sum_of_the_lines() {
        let order = priced(&[("a", 3), ("b", 7)], &product("19.99", None, "EUR"));
        let order = order.map(|order| (order.total_amount.to_string(), order.currency));
        assert_eq!(order, Ok(("199.90".into(), "EUR".into())));
    }

    #[test]
    fn the_stock_must_do_for_all_lines_together() {
        let product = product("1", Some(10), "USD");
        assert!(priced(&[("a", 5), ("a", 5)], &product).is_ok());
        assert!(matches!(
            priced(&[("a", 5), ("a", 6)], &product),
            Err(Unpriceable::InsufficientStock(problems)) if problems.len() == 2
        ));
    }

    #[test]
    fn a_total_beyond_the_column_is_refused() {
        let product = product("99999.99", None, "USD");
        assert!(priced(&[("a", 1000)], &product).is_ok());
        assert_eq!(
            priced(&[("a", 1000), ("b", 1)], &product).map(|order| order.total_amount),
            Err(Unpriceable::TotalTooLarge)
        );
    }

    #[test]
    fn one_order_has_one_currency() {
        let (usd, eur) = (product("1", None, "USD"), product("1", None, "EUR"));
        let lookup = |id: &str| Some(if id == "a" { &usd } else { &eur });
        let order = price(
            request(&[("a", 1), ("b", 1)]),
            lookup,
            Utc::now(),
            Uuid::now_v7,
        );
        assert!(matches!(order, Err(Unpriceable::MixedCurrencies(_))));
    }
}
