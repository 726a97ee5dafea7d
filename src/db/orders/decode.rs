//! From a row to an order.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::money::Money;
use crate::domain::order::{Order, OrderItem};
use crate::platform::postgres::{DbError, Row};

/// The columns of an order `o` and its items `i`, in the order in which [`order`] reads them.
/// Spin reads no `timestamptz`, so times are converted to UTC here.
pub const COLUMNS: &str = "
    o.id, o.user_id, o.status, o.total_amount, o.currency, o.shipping_address, o.billing_address,
    o.notes, o.version, o.created_at at time zone 'utc' as created_at,
    o.updated_at at time zone 'utc' as updated_at,
    i.ids, i.product_ids, i.quantities, i.unit_prices, i.subtotals, i.created, i.updated,
    i.prices_as_of";

/// The items of each order `o`, one array for each column; times in microseconds since 1970.
pub const ITEMS: &str = "
    cross join lateral (
        select array_agg(id::text order by line) as ids,
               array_agg(product_id order by line) as product_ids,
               array_agg(quantity order by line) as quantities,
               array_agg(unit_price order by line) as unit_prices,
               array_agg(subtotal order by line) as subtotals,
               array_agg((extract(epoch from created_at) * 1000000)::bigint order by line) as created,
               array_agg((extract(epoch from updated_at) * 1000000)::bigint order by line) as updated,
               array_agg(coalesce((extract(epoch from price_as_of) * 1000000)::bigint, -1)
                         order by line) as prices_as_of
        from order_items where order_id = o.id
    ) as i";

/// Reads [`COLUMNS`] from the column `first` on.
pub fn order(row: &Row, first: usize) -> Result<Order, DbError> {
    let at = |offset: usize| first.saturating_add(offset);
    let id = row.get_uuid(at(0))?;
    Ok(Order {
        id,
        user_id: row.get(at(1))?,
        status: row.get::<String>(at(2))?.parse().map_err(unexpected)?,
        total_amount: money(row.get_decimal(at(3))?)?,
        currency: row.get(at(4))?,
        shipping_address: row.get(at(5))?,
        billing_address: row.get(at(6))?,
        notes: row.get(at(7))?,
        order_items: items(row, at(11), id)?,
        version: row.get(at(8))?,
        created_at: row.get::<chrono::NaiveDateTime>(at(9))?.and_utc(),
        updated_at: row.get::<chrono::NaiveDateTime>(at(10))?.and_utc(),
    })
}

fn items(row: &Row, first: usize, order_id: Uuid) -> Result<Vec<OrderItem>, DbError> {
    let at = |offset: usize| first.saturating_add(offset);
    let ids: Vec<String> = row.get_array(at(0))?;
    let product_ids: Vec<String> = row.get_array(at(1))?;
    let quantities: Vec<i32> = row.get_array(at(2))?;
    let unit_prices = row.get_decimals(at(3))?;
    let subtotals = row.get_decimals(at(4))?;
    let created: Vec<i64> = row.get_array(at(5))?;
    let updated: Vec<i64> = row.get_array(at(6))?;
    // -1 stands for a price that was asked for when the order was placed.
    let prices_as_of: Vec<i64> = row.get_array(at(7))?;
    let texts = ids.into_iter().zip(product_ids).zip(quantities);
    let amounts = unit_prices.into_iter().zip(subtotals);
    let times = created.into_iter().zip(updated).zip(prices_as_of);
    texts
        .zip(amounts)
        .zip(times)
        .map(
            |((((id, product_id), quantity), (price, subtotal)), ((created, updated), seen))| {
                Ok(OrderItem {
                    id: Uuid::parse_str(&id).map_err(unexpected)?,
                    order_id,
                    product_id,
                    quantity,
                    unit_price: money(price)?,
                    subtotal: money(subtotal)?,
                    price_as_of: (seen >= 0).then(|| moment(seen)).transpose()?,
                    created_at: moment(created)?,
                    updated_at: moment(updated)?,
                })
            },
        )
        .collect()
}

fn money(amount: rust_decimal::Decimal) -> Result<Money, DbError> {
    Money::try_from(amount).map_err(|error| DbError::Unexpected(format!("{amount}: {error:?}")))
}

fn moment(micros: i64) -> Result<DateTime<Utc>, DbError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| DbError::Unexpected(format!("{micros} is no timestamp")))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unexpected(error: impl ToString) -> DbError {
    DbError::Unexpected(error.to_string())
}
