//! Reading a reply of the product service.

use bytes::Bytes;
use http::{Response, StatusCode};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::money::{Money, NotMoney};
use crate::domain::number;
use crate::domain::pricing::{Product, Unpriceable};
use crate::error::Error;

/// Any reply of which the id can be read.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    data: Identity<'a>,
}

#[derive(Deserialize)]
struct Identity<'a> {
    /// A string or a number; read as text, so that `1` is not `1.0`.
    #[serde(borrow)]
    id: &'a RawValue,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    /// A string or a number; read as text, so that no digit is lost.
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(borrow)]
    stock: Option<&'a RawValue>,
    #[serde(default)]
    is_active: Option<bool>,
}

const CURRENCY_DEFAULT: &str = "USD";

/// The product of a reply; `None` if it does not exist, is not for sale, or is not the one that
/// was asked for. Catalogues answer `01` or `1.json` with product 1, and `statistics` with
/// anything: what a client can bring about by an id is no failure of theirs.
pub fn product(id: &str, reply: &Response<Bytes>) -> Result<Option<Product>, Error> {
    match reply.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        status if status.is_client_error() => return Err(Error::ProductRequestRefused(status)),
        StatusCode::OK => {}
        status => return Err(invalid(format!("it answered {status}"))),
    }
    if !is_about(id, reply.body()) {
        return Ok(None);
    }
    let reply: Reply<'_> =
        serde_json::from_slice(reply.body()).map_err(|error| invalid(error.to_string()))?;
    let data = reply.data;
    if data.is_active == Some(false) {
        return Ok(None);
    }
    let currency = data.currency.unwrap_or_else(|| CURRENCY_DEFAULT.into());
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(invalid("the currency is no ISO 4217 code".into()));
    }
    Ok(Some(Product {
        price: price(data.price)?,
        currency,
        stock: data.stock.map(stock).transpose()?,
        price_as_of: None,
    }))
}

fn is_about(id: &str, body: &[u8]) -> bool {
    let Ok(reply) = serde_json::from_slice::<Identified<'_>>(body) else {
        return false;
    };
    let found = reply.data.id.get();
    match found.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(found).is_ok_and(|found| found == id),
        Some(b'-' | b'0'..=b'9') => found == id,
        _ => false,
    }
}

fn price(raw: Option<&RawValue>) -> Result<Money, Error> {
    let price = raw.ok_or(NotMoney::Malformed).and_then(Money::read);
    price.map_err(|error| match error {
        NotMoney::TooLarge => Error::Unpriceable(Unpriceable::TotalTooLarge),
        NotMoney::Malformed => invalid("the price is no amount of money".into()),
    })
}

/// A whole number; `5.0` is one.
fn stock(raw: &RawValue) -> Result<i64, Error> {
    let number = number::exact(raw.get()).ok().filter(Decimal::is_integer);
    let number = number.and_then(|number| number.to_i64());
    number.ok_or_else(|| invalid("the stock is no whole number".into()))
}

fn invalid(reason: String) -> Error {
    Error::InvalidProductReply(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: &str, body: &'static str) -> Result<Option<String>, &'static str> {
        let reply = Response::new(Bytes::from_static(body.as_bytes()));
        match product(id, &reply) {
            Ok(product) => Ok(product.map(|product| product.price.to_string())),
            Err(error) => Err(error.code()),
        }
    }

    #[test]
    fn a_price_is_a_string_or_a_number() {
        assert_eq!(
            read("a", r#"{"data":{"id":"a","price":"29.99","x":1}}"#),
            Ok(Some("29.99".into()))
        );
        assert_eq!(
            read("a", r#"{"data":{"id":"a","price":29.9}}"#),
            Ok(Some("29.90".into()))
        );
    }

    #[test]
    fn an_odd_price_is_an_invalid_reply() {
        for price in [
            "29.999", "-1", "\"\"", "\"abc\"", "true", "null", "{}", "1e99",
        ] {
            let body = format!(r#"{{"data":{{"id":"a","price":{price}}}}}"#).leak();
            assert_eq!(read("a", body), Err("invalid_product_reply"), "{price}");
        }
        let without = r#"{"data":{"id":"a"}}"#;
        assert_eq!(read("a", without), Err("invalid_product_reply"));
    }

    #[test]
    fn an_inactive_product_is_not_for_sale() {
        for price in ["", r#""price":1,"#, r#""price":null,"#] {
            let body = format!(r#"{{"data":{{"id":"a",{price}"is_active":false}}}}"#).leak();
            assert_eq!(read("a", body), Ok(None), "{body}");
        }
    }

    #[test]
    fn a_stock_is_a_whole_number() {
        let stock = |stock| {
            let body = format!(r#"{{"data":{{"id":"a","price":1,"stock":{stock}}}}}"#).leak();
            let reply = Response::new(Bytes::from_static(body.as_bytes()));
            let product = product("a", &reply).ok().flatten();
            product.map(|product| product.stock)
        };
        assert_eq!(stock("5"), Some(Some(5)));
        assert_eq!(stock("5.0"), Some(Some(5)));
        assert_eq!(stock("-1"), Some(Some(-1)));
        assert_eq!(stock("null"), Some(None));
        for odd in ["5.5", "\"5\"", "1e30", "true"] {
            assert_eq!(stock(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_reply_is_about_the_product_whose_id_it_has_as_text() {
        for (id, written) in [
            ("1", "1"),
            ("1", "\"1\""),
            ("a\"b", r#""a\"b""#),
            ("-1", "-1"),
        ] {
            let body = format!(r#"{{"data":{{"price":"1.00","id":{written}}}}}"#).leak();
            assert_eq!(read(id, body), Ok(Some("1.00".into())), "{id} {written}");
        }
        for (id, written) in [
            ("01", "1"),
            ("1", "1.0"),
            ("1", "\" 1\""),
            ("true", "true"),
            ("null", "null"),
            ("[1]", "[1]"),
        ] {
            let body = format!(r#"{{"data":{{"price":"1.00","id":{written}}}}}"#).leak();
            assert_eq!(read(id, body), Ok(None), "{id} {written}");
        }
        for body in [
            "<html>",
            "[]",
            r#"{"data":[]}"#,
            r#"{"data":{"price":"1"}}"#,
        ] {
            assert_eq!(read("a", body), Ok(None), "{body}");
        }
    }
}
