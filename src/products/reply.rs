//! Reading a reply of the product service.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::money::{Money, NotMoney};
use crate::domain::pricing::Product;
use crate::error::Error;

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    /// A string or a number; read as text, so that no digit is lost.
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    stock: Option<i64>,
    #[serde(default)]
    is_active: Option<bool>,
}

const CURRENCY_DEFAULT: &str = "USD";

/// The product of a reply; `None` if it does not exist or is not for sale.
pub fn product(reply: &Response<Bytes>) -> Result<Option<Product>, Error> {
    let invalid = |reason: String| Error::InvalidProductReply(reason);
    match reply.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        StatusCode::OK => {}
        status => return Err(invalid(format!("it answered {status}"))),
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
        stock: data.stock,
    }))
}

fn price(raw: &RawValue) -> Result<Money, Error> {
    let text = if raw.get().starts_with('"') {
        serde_json::from_str::<String>(raw.get())
            .map_err(|error| Error::InvalidProductReply(error.to_string()))?
    } else {
        raw.get().to_owned()
    };
    Money::parse(&text).map_err(|error| match error {
        NotMoney::TooLarge => {
            Error::Unpriceable(crate::domain::pricing::Unpriceable::TotalTooLarge)
        }
        NotMoney::Malformed => Error::InvalidProductReply("the price is no amount of money".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Result<Option<String>, &'static str> {
        let reply = Response::new(Bytes::from_static(body.as_bytes()));
        match product(&reply) {
            Ok(product) => Ok(product.map(|product| product.price.to_string())),
            Err(error) => Err(error.code()),
        }
    }

    #[test]
    fn a_price_is_a_string_or_a_number() {
        assert_eq!(
            read(r#"{"data":{"price":"29.99","x":1}}"#),
            Ok(Some("29.99".into()))
        );
        assert_eq!(read(r#"{"data":{"price":29.9}}"#), Ok(Some("29.90".into())));
    }

    #[test]
    fn an_odd_price_is_an_invalid_reply() {
        for price in [
            "29.999", "-1", "\"\"", "\"abc\"", "true", "null", "{}", "1e99",
        ] {
            let body = format!(r#"{{"data":{{"price":{price}}}}}"#).leak();
            assert_eq!(read(body), Err("invalid_product_reply"), "{price}");
        }
        assert_eq!(read(r#"{"data":{}}"#), Err("invalid_product_reply"));
        assert_eq!(read("<html>"), Err("invalid_product_reply"));
    }

    #[test]
    fn an_inactive_product_is_not_for_sale() {
        assert_eq!(read(r#"{"data":{"price":1,"is_active":false}}"#), Ok(None));
    }
}
