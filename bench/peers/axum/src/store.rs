//! Postgres access. Statements are prepared once per connection (deadpool's cache);
//! queries joined with try_join! are pipelined on one connection by tokio-postgres.

use std::collections::HashMap;

use deadpool_postgres::Pool;
use futures_util::future::try_join;
use rust_decimal::Decimal;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    error::ApiError,
    model::{Order, OrderItem},
};

/// One statement, hence atomic without BEGIN and COMMIT round trips.
const INSERT_ORDER: &str = "
    with o as (
        insert into orders (id, user_id, status, total_amount, currency, shipping_address,
                            billing_address, notes, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        returning id, created_at, updated_at
    )
    insert into order_items (id, order_id, product_id, quantity, unit_price, subtotal,
                             created_at, updated_at)
    select i.id, o.id, i.product_id, i.quantity, i.unit_price, i.subtotal, o.created_at, o.updated_at
    from o, unnest($11::uuid[], $12::text[], $13::int4[], $14::numeric[], $15::numeric[])
            as i (id, product_id, quantity, unit_price, subtotal)";

macro_rules! order_columns {
    () => {
        "id, user_id, status, total_amount, currency, shipping_address, billing_address, notes, \
         created_at, updated_at"
    };
}

const FIND_ORDER: &str = concat!("select ", order_columns!(), " from orders where id = $1");
const FIND_STATUS: &str = "select status from orders where id = $1";
const UPDATE_STATUS: &str = concat!(
    "update orders set status = $2, updated_at = now() where id = $1 and status = any($3) returning ",
    order_columns!()
);
const LIST_ALL: &str = concat!(
    "select ",
    order_columns!(),
    " from orders order by created_at desc, id desc limit $1 offset $2"
);
const LIST_USER: &str = concat!(
    "select ",
    order_columns!(),
    " from orders where user_id = $3 order by created_at desc, id desc limit $1 offset $2"
);
const COUNT_ALL: &str = "select count(*) from orders";
const COUNT_USER: &str = "select count(*) from orders where user_id = $1";

macro_rules! select_items {
    ($condition:literal) => {
        concat!(
            "select id, order_id, product_id, quantity, unit_price, subtotal, created_at, updated_at \
             from order_items where ", $condition, " order by id"
        )
    };
}

// Item ids are version 7 UUIDs, so their order is the order of the request.
const ITEMS_OF_ORDER: &str = select_items!("order_id = $1");
const ITEMS_OF_ORDERS: &str = select_items!("order_id = any($1)");

fn order_from(row: &Row) -> Order {
    Order {
        id: row.get(0),
        user_id: row.get(1),
        status: row.get(2),
        total_amount: row.get(3),
        currency: row.get(4),
        shipping_address: row.get(5),
        billing_address: row.get(6),
        notes: row.get(7),
        created_at: row.get(8),
        updated_at: row.get(9),
        order_items: Vec::new(),
    }
}

fn item_from(row: &Row) -> OrderItem {
    OrderItem {
        id: row.get(0),
        order_id: row.get(1),
        product_id: row.get(2),
        quantity: row.get(3),
        unit_price: row.get(4),
        subtotal: row.get(5),
        created_at: row.get(6),
        updated_at: row.get(7),
    }
}

pub async fn insert_order(db: &Pool, order: &Order) -> Result<(), ApiError> {
    let items = &order.order_items;
    let ids: Vec<Uuid> = items.iter().map(|i| i.id).collect();
    let product_ids: Vec<&str> = items.iter().map(|i| i.product_id.as_str()).collect();
    let quantities: Vec<i32> = items.iter().map(|i| i.quantity).collect();
    let unit_prices: Vec<Decimal> = items.iter().map(|i| i.unit_price).collect();
    let subtotals: Vec<Decimal> = items.iter().map(|i| i.subtotal).collect();

    let client = db.get().await?;
    let statement = client.prepare_cached(INSERT_ORDER).await?;
    client
        .execute(
            &statement,
            &[
                &order.id,
                &order.user_id,
                &order.status,
                &order.total_amount,
                &order.currency,
                &order.shipping_address,
                &order.billing_address,
                &order.notes,
                &order.created_at,
                &order.updated_at,
                &ids,
                &product_ids,
                &quantities,
                &unit_prices,
                &subtotals,
            ],
        )
        .await?;
    Ok(())
}

pub async fn find_order(db: &Pool, id: Uuid) -> Result<Option<Order>, ApiError> {
    let client = db.get().await?;
    let order = client.prepare_cached(FIND_ORDER).await?;
    let items = client.prepare_cached(ITEMS_OF_ORDER).await?;
    let (order, items) = try_join(
        client.query_opt(&order, &[&id]),
        client.query(&items, &[&id]),
    )
    .await?;
    Ok(order.map(|row| Order {
        order_items: items.iter().map(item_from).collect(),
        ..order_from(&row)
    }))
}

pub async fn find_status(db: &Pool, id: Uuid) -> Result<Option<String>, ApiError> {
    let client = db.get().await?;
    let statement = client.prepare_cached(FIND_STATUS).await?;
    Ok(client
        .query_opt(&statement, &[&id])
        .await?
        .map(|row| row.get(0)))
}

/// Changes the status if the present one is among `from`; None if it is not or no such order is.
pub async fn update_status(
    db: &Pool,
    id: Uuid,
    status: &str,
    from: &[&str],
) -> Result<Option<Order>, ApiError> {
    let client = db.get().await?;
    let update = client.prepare_cached(UPDATE_STATUS).await?;
    let items = client.prepare_cached(ITEMS_OF_ORDER).await?;
    let (order, items) = try_join(
        client.query_opt(&update, &[&id, &status, &from]),
        client.query(&items, &[&id]),
    )
    .await?;
    Ok(order.map(|row| Order {
        order_items: items.iter().map(item_from).collect(),
        ..order_from(&row)
    }))
}

/// One page of orders, newest first, with their items, and the number of orders in all.
pub async fn list_orders(
    db: &Pool,
    user_id: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Order>, i64), ApiError> {
    let client = db.get().await?;
    let (rows, total) = match &user_id {
        Some(user_id) => {
            let list = client.prepare_cached(LIST_USER).await?;
            let count = client.prepare_cached(COUNT_USER).await?;
            try_join(
                client.query(&list, &[&limit, &offset, user_id]),
                client.query_one(&count, &[user_id]),
            )
            .await?
        }
        None => {
            let list = client.prepare_cached(LIST_ALL).await?;
            let count = client.prepare_cached(COUNT_ALL).await?;
            try_join(
                client.query(&list, &[&limit, &offset]),
                client.query_one(&count, &[]),
            )
            .await?
        }
    };
    let mut orders: Vec<Order> = rows.iter().map(order_from).collect();
    if !orders.is_empty() {
        let ids: Vec<Uuid> = orders.iter().map(|o| o.id).collect();
        let items = client.prepare_cached(ITEMS_OF_ORDERS).await?;
        let items = client.query(&items, &[&ids]).await?;
        let position: HashMap<Uuid, usize> = ids.into_iter().zip(0..).collect();
        for row in &items {
            let item = item_from(row);
            orders[position[&item.order_id]].order_items.push(item);
        }
    }
    Ok((orders, total.get(0)))
}
