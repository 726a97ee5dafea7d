//! The statements on orders. Each returns documents as text, made by the functions of
//! `migrations/`: rows and columns are what is expensive on this platform, bytes are not.

mod filter;

use uuid::Uuid;

use super::gate::run;
use crate::context::Context;
use crate::domain::cursor::Position;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::list::{ListRequest, Start};
use crate::domain::order::{Order, OrderDocument};
use crate::domain::status::Status;
use crate::error::Error;
use crate::platform::postgres::{DbError, Row};
use filter::Params;

/// Stores a new order with its items, its body, its idempotency key and its first event; `None`
/// if the order or its key is there already. Storing the same order again does nothing, so the
/// statement may be repeated when a connection is lost.
pub async fn order_insert(
    context: &Context,
    order: &Order,
) -> Result<Option<OrderDocument>, Error> {
    let statement = "
        with o as (
            select * from json_to_record($1::text::json) as o (
                id uuid, user_id text, total_amount decimal(10, 2), currency text,
                shipping_address text, billing_address text, notes text, order_items json,
                created_at timestamptz, idempotency_key text, fingerprint uuid)
        ), key as (
            insert into idempotency_keys (user_id, key, order_id, fingerprint)
            select user_id, idempotency_key, id, fingerprint from o
            where idempotency_key is not null
            on conflict (user_id, key) do nothing
            returning order_id
        ), line as (
            select line.* from o, rows from (json_to_recordset(o.order_items) as (
                id uuid, product_id text, quantity integer, unit_price decimal(10, 2),
                subtotal decimal(10, 2), price_as_of timestamptz)) with ordinality
                as line (id, product_id, quantity, unit_price, subtotal, price_as_of, n)
        ), placed as (
            insert into orders (id, user_id, total_amount, currency, shipping_address,
                                billing_address, notes, created_at, updated_at, body)
            select id, user_id, total_amount, currency, shipping_address, billing_address, notes,
                   created_at, created_at,
                   order_body(id, user_id, total_amount, currency, shipping_address,
                              billing_address, notes,
                              (select string_agg(
                                  order_line(line.id, o.id, product_id, quantity, unit_price,
                                             subtotal, price_as_of, created_at, created_at),
                                  ',' order by n) from line),
                              created_at)
            from o
            where idempotency_key is null or exists (select from key)
            on conflict (id) do nothing
            returning id, body, status, version, created_at
        ), event as (
            insert into order_events (order_id, sequence, to_status, created_at)
            select id, version, status, created_at from placed
        ), item as (
            insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal,
                                     price_as_of, created_at, updated_at, in_body)
            select line.id, placed.id, n, product_id, quantity, unit_price, subtotal, price_as_of,
                   created_at, created_at, true
            from placed, line
        )
        select version, order_document(id, body, status, version, created_at) from placed";
    let param = serde_json::to_string(order)?;
    let rows = run(context, statement, vec![param.into()]).await?;
    Ok(rows
        .first()
        .map(|row| document(order.id, row, 0))
        .transpose()?)
}

/// An order that was created with an idempotency key, as it was then.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub order: OrderDocument,
    /// Of the request that created it.
    pub fingerprint: Uuid,
}

/// The order that the user has created with this key.
pub async fn order_find_by_key(
    context: &Context,
    user_id: &str,
    key: &IdempotencyKey,
) -> Result<Option<Keyed>, Error> {
    let statement = "
        select o.id::text, k.fingerprint::text, 1, order_document(o.id, body, 'pending', 1, created_at)
        from idempotency_keys as k join orders as o on o.id = k.order_id
        where k.user_id = $1::text and k.key = $2::text";
    let rows = run(
        context,
        statement,
        vec![user_id.into(), key.as_str().into()],
    )
    .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Keyed {
        order: document(uuid(row, 0)?, row, 2)?,
        fingerprint: uuid(row, 1)?,
    }))
}

/// The order with this id.
pub async fn order_find(context: &Context, id: Uuid) -> Result<Option<OrderDocument>, Error> {
    let statement = "
        select version, order_document(id, body, status, version, updated_at)
        from orders where id = $1::uuid";
    let rows = run(context, statement, vec![id.into()]).await?;
    Ok(rows.first().map(|row| document(id, row, 0)).transpose()?)
}

/// What became of a wish to change an order.
#[derive(Debug, Clone)]
pub struct Change {
    /// The status before.
    pub from: Status,
    /// False if the order, as it is, does not allow the change, is in the wanted status already,
    /// or has another version than those that may be changed.
    pub is_made: bool,
    /// The order after it.
    pub order: OrderDocument,
}

/// Checks the transition and the version, makes the change and records its event, all at once; of
/// two clients that race, one finds the order as the other left it.
pub async fn order_change_status(
    context: &Context,
    id: Uuid,
    to: Status,
    reason: Option<String>,
    versions: Option<Vec<String>>,
) -> Result<Option<Change>, Error> {
    let statement = "
        with found as materialized (
            select id, body, status, version, updated_at from orders where id = $1::uuid for update
        ), changed as (
            update orders
            set status = $2::text, version = orders.version + 1,
                updated_at = greatest(clock_timestamp(), orders.updated_at)
            from found
            where orders.id = found.id and found.status = any ($3::text[])
                  and ($5::text[] is null or found.version::text = any ($5::text[]))
            returning orders.id, orders.status, orders.version, orders.updated_at
        ), event as (
            insert into order_events (order_id, sequence, from_status, to_status, reason, created_at)
            select changed.id, changed.version, found.status, changed.status, $4::text,
                   changed.updated_at
            from changed join found using (id)
        )
        select found.status, changed.id is not null,
               coalesce(changed.version, found.version),
               order_document(found.id, body, coalesce(changed.status, found.status),
                              coalesce(changed.version, found.version),
                              coalesce(changed.updated_at, found.updated_at))
        from found left join changed using (id)";
    let from: Vec<_> = to.previous().map(|status| status.to_string()).collect();
    let params = vec![
        id.into(),
        to.as_str().into(),
        from.into(),
        reason.as_deref().into(),
        versions.into(),
    ];
    let rows = run(context, statement, params).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let from: String = row.get(0)?;
    Ok(Some(Change {
        from: from.parse().map_err(|_| DbError::Unexpected(from))?,
        is_made: row.get(1)?,
        order: document(id, row, 2)?,
    }))
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The orders' documents with commas between them.
    pub orders: String,
    /// Orders in the whole list.
    pub total: u64,
    /// The last order of the page, if there are more behind it.
    pub next: Option<Position>,
}

/// Orders before a page from which on it is worth looking for its place first.
const DEEP: i64 = 1000;

/// Stands between documents and, as they are compact, never in one.
const SEPARATOR: &str = ",\n";

/// The wanted page and the total of its list, newest order first.
pub async fn order_list(context: &Context, request: &ListRequest) -> Result<Page, Error> {
    let mut params = Params::default();
    let total = filter::total(&request.filter, &mut params);
    let mut conditions = filter::conditions(&request.filter, &mut params);
    let start = match request.start {
        Start::Page(page) => {
            i64::from(page.saturating_sub(1)).saturating_mul(request.page_size.into())
        }
        Start::After(position) => {
            let created_at = params.timestamp(position.created_at);
            let id = params.add(position.id, "uuid");
            conditions.push(format!("(created_at, id) < ({created_at}, {id})"));
            0
        }
    };
    // One more than wanted tells whether there is a next page.
    let limit = params.add(i64::from(request.page_size).saturating_add(1), "bigint");
    let offset = params.add(start, "bigint");
    let places = format!(
        "{where_clause} order by created_at desc, id desc limit {limit} offset {offset}",
        where_clause = filter::where_clause(&conditions),
    );
    let page = if start < DEEP {
        format!("select * from orders {places}")
    } else {
        // So many orders are skipped in the index alone. (The second offset keeps Postgres from
        // turning the look-ups into a join that reads the whole table.)
        format!(
            "select o.* from (select id from orders {places}) as place,
                 lateral (select * from orders where id = place.id offset 0) as o
             order by o.created_at desc, o.id desc"
        )
    };
    let statement = format!(
        "select ({total}),
                string_agg(order_document(id, body, status, version, updated_at), '{SEPARATOR}')
         from ({page}) as page"
    );
    let rows = run(context, statement, params.values).await?;
    let row = rows.first();
    let row = row.ok_or_else(|| DbError::Unexpected("a list without a row".into()))?;
    let total: i64 = row.get(0)?;
    let orders: Option<String> = row.get(1)?;
    let mut orders = orders.unwrap_or_default();
    let mut next = None;
    if orders.matches(SEPARATOR).count() >= usize::try_from(request.page_size).unwrap_or(usize::MAX)
    {
        orders.truncate(orders.rfind(SEPARATOR).unwrap_or(0));
        let last = orders.rsplit(SEPARATOR).next().unwrap_or_default();
        let position = Position::of(last).map_err(|error| DbError::Unexpected(error.to_string()));
        next = Some(position?);
    }
    Ok(Page {
        orders,
        total: total.unsigned_abs(),
        next,
    })
}

/// Reads the version and the document from the column `first` on.
fn document(id: Uuid, row: &Row, first: usize) -> Result<OrderDocument, DbError> {
    Ok(OrderDocument {
        id,
        version: row.get(first)?,
        json: row.get(first.saturating_add(1))?,
    })
}

fn uuid(row: &Row, index: usize) -> Result<Uuid, DbError> {
    let text: String = row.get(index)?;
    let id = text.parse();
    id.map_err(|error: uuid::Error| DbError::Unexpected(error.to_string()))
}
