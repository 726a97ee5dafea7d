//! Last known prices: kept in Redis for as long as the setting says, and used when the product
//! service does not answer. Off by default; then nothing is written and nothing read.
//!
//! An entry is `<microseconds since 1970 when it was seen> <currency> <price>`.

use chrono::{DateTime, Utc};

use crate::context::Context;
use crate::domain::money::Money;
use crate::domain::pricing::Product;
use crate::platform::http_client::encode_segment;
use crate::platform::redis::{Argument, Patience, Value, execute, run_script};
use crate::platform::spawn;
use crate::telemetry::log;

/// Keeps the prices of an order in one step. An empty text stands for a product that is no longer
/// for sale: its price is forgotten, or an outage would bring it back.
const KEEP: &str = "
for i, key in ipairs(KEYS) do
  if ARGV[i + 1] == '' then redis.call('del', key)
  else redis.call('set', key, ARGV[i + 1], 'px', ARGV[1]) end
end";

/// Keeps what the product service has said at `seen`, or a little later; nobody waits for it.
pub fn keep_later(context: &Context, seen: DateTime<Utc>, found: &[(String, Option<Product>)]) {
    let Some(max_age) = context.config.product_service.price_max_age else {
        return;
    };
    if found.is_empty() {
        return;
    }
    let keys = found.iter().map(|(id, _)| Argument::Text(key(context, id)));
    let keys = keys.collect();
    let mut arguments = vec![Argument::millis(max_age)];
    arguments.extend(found.iter().map(|(_, product)| {
        let entry = product.as_ref().map(|product| entry(product, seen));
        Argument::Text(entry.unwrap_or_default())
    }));
    let context = context.clone();
    spawn(async move {
        let url = &context.config.redis_url;
        let kept = run_script(url, KEEP, keys, arguments, Patience::BRIEF);
        if let Err(error) = kept.await {
            let what = "the last known prices are not kept";
            log::degradation(&context.config, what, &error.to_string());
        }
    });
}

/// The products of which a price is known that is young enough; their stock is not.
pub async fn recall(context: &Context, ids: &[String]) -> Vec<(String, Product)> {
    let Some(max_age) = context.config.product_service.price_max_age else {
        return Vec::new();
    };
    let keys = ids.iter().map(|id| Argument::Text(key(context, id)));
    let keys = keys.collect();
    let entries = match execute(&context.config.redis_url, "MGET", keys, Patience::BRIEF).await {
        Ok(entries) => entries,
        Err(error) => {
            let what = "the last known prices cannot be read";
            log::degradation(&context.config, what, &error.to_string());
            return Vec::new();
        }
    };
    let now = Utc::now();
    let products = ids.iter().zip(entries).filter_map(|(id, entry)| {
        let Value::Binary(entry) = entry else {
            return None;
        };
        let product = product(core::str::from_utf8(&entry).ok()?)?;
        // A clock that was ahead makes a price no older than it is.
        let age = now.signed_duration_since(product.price_as_of?).to_std();
        let is_young = age.unwrap_or_default() <= max_age;
        is_young.then(|| (id.clone(), product))
    });
    products.collect()
}

fn entry(product: &Product, seen: DateTime<Utc>) -> String {
    let seen = seen.timestamp_micros();
    format!("{seen} {} {}", product.currency, product.price)
}

fn product(entry: &str) -> Option<Product> {
    let mut parts = entry.split(' ');
    let seen = parts.next()?.parse().ok()?;
    Some(Product {
        price_as_of: Some(DateTime::from_timestamp_micros(seen)?),
        currency: parts.next()?.to_owned(),
        price: Money::parse(parts.next()?).ok()?,
        stock: None,
    })
}

fn key(context: &Context, id: &str) -> String {
    let id = encode_segment(id);
    context.config.redis_key(format_args!("product-price:{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let seen = DateTime::from_timestamp_micros(1_764_000_000_123_456);
        let original = Product {
            price: Money::parse("29.99").unwrap_or(Money::ZERO),
            currency: "EUR".into(),
            stock: None,
            price_as_of: seen,
        };
        let written = entry(&original, seen.unwrap_or_default());
        assert_eq!(written, "1764000000123456 EUR 29.99");
        assert_eq!(product(&written), Some(original));
        for spoilt in ["", "x EUR 1.00", "1 EUR", "1 EUR -1", "1"] {
            assert_eq!(product(spoilt), None, "{spoilt}");
        }
    }
}
