//! The statements on orders.

mod decode;
mod filter;

use uuid::Uuid;

use crate::context::Context;
use crate::domain::list::{ListRequest, Start};
use crate::domain::order::Order;
use crate::domain::status::Status;
use crate::error::Error;
use crate::platform::postgres::{DbError, Param, Row, query};
use decode::{COLUMNS, ITEMS, order};
use filter::Params;

/// Stores a new order with its items and its first event. Storing the same order again does
/// nothing, so the statement may be repeated when a connection is lost.
pub async fn order_insert(context: &Context, order: &Order) -> Result<(), Error> {
    let statement = "
        with placed as (
            insert into orders (id, user_id, status, total_amount, currency, shipping_address,
                                billing_address, notes, version, created_at, updated_at)
            values ($1::uuid, $2::text, $3::text, $4::numeric, $5::text, $6::text, $7::text,
                    $8::text, $9::int, $10::timestamp at time zone 'utc',
                    $10::timestamp at time zone 'utc')
            on conflict (id) do nothing
            returning id, status, version, created_at
        ), event as (
            insert into order_events (order_id, sequence, to_status, created_at)
            select id, version, status, created_at from placed
        )
        insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal,
                                 price_as_of, created_at, updated_at)
        select item.id::uuid, placed.id, item.line, item.product_id, item.quantity,
               item.unit_price, item.subtotal, item.price_as_of::timestamptz,
               placed.created_at, placed.created_at
        from placed,
             unnest($11::text[], $12::text[], $13::int[], $14::numeric[], $15::numeric[],
                    $16::text[])
                 with ordinality as item (id, product_id, quantity, unit_price, subtotal,
                                          price_as_of, line)";
    let items = &order.order_items;
    let params = vec![
        order.id.into(),
        order.user_id.as_str().into(),
        order.status.as_str().into(),
        order.total_amount.decimal().into(),
        order.currency.as_str().into(),
        order.shipping_address.as_str().into(),
        order.billing_address.as_str().into(),
        order.notes.as_deref().into(),
        order.version.into(),
        order.created_at.into(),
        items
            .iter()
            .map(|item| item.id.to_string())
            .collect::<Vec<_>>()
            .into(),
        items
            .iter()
            .map(|item| item.product_id.clone())
            .collect::<Vec<_>>()
            .into(),
        items
            .iter()
            .map(|item| item.quantity)
            .collect::<Vec<_>>()
            .into(),
        items
            .iter()
            .map(|item| item.unit_price.decimal())
            .collect::<Vec<_>>()
            .into(),
        items
            .iter()
            .map(|item| item.subtotal.decimal())
            .collect::<Vec<_>>()
            .into(),
        items
            .iter()
            .map(|item| item.price_as_of.map(|at| at.to_rfc3339()))
            .collect::<Vec<_>>()
            .into(),
    ];
    run(context, statement, params).await?;
    Ok(())
}

/// The order with this id.
pub async fn order_find(context: &Context, id: Uuid) -> Result<Option<Order>, Error> {
    let statement = format!("select {COLUMNS} from orders as o {ITEMS} where o.id = $1::uuid");
    let rows = run(context, statement, vec![id.into()]).await?;
    Ok(rows.first().map(|row| order(row, 0)).transpose()?)
}

/// What became of a wish to change an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Made {
        from: Status,
        order: Order,
    },
    /// The order, as it is, does not allow the change, or is in the wanted status already.
    Refused(Order),
}

/// Checks the transition, makes it and records its event, all at once; of two clients that
/// race, one finds the order as the other left it.
pub async fn order_change_status(
    context: &Context,
    id: Uuid,
    to: Status,
    reason: Option<String>,
) -> Result<Option<Change>, Error> {
    let statement = format!(
        "with found as materialized (
            select * from orders where id = $1::uuid for update
        ), changed as (
            update orders
            set status = $2::text, version = orders.version + 1,
                updated_at = greatest(clock_timestamp(), orders.updated_at)
            from found
            where orders.id = found.id and found.status = any ($3::text[])
            returning orders.*
        ), event as (
            insert into order_events (order_id, sequence, from_status, to_status, reason, created_at)
            select changed.id, changed.version, found.status, changed.status, $4::text,
                   changed.updated_at
            from changed join found using (id)
        ), o as (
            select found.status as was, changed.* from changed join found using (id)
            union all
            select null as was, found.* from found where not exists (select from changed)
        )
        select o.was, {COLUMNS} from o {ITEMS}"
    );
    let from: Vec<_> = to.previous().map(|status| status.to_string()).collect();
    let params = vec![
        id.into(),
        to.as_str().into(),
        from.into(),
        reason.as_deref().into(),
    ];
    let rows = run(context, statement, params).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let order = order(row, 1)?;
    let was: Option<String> = row.get(0)?;
    Ok(Some(match was {
        Some(was) => Change::Made {
            from: was.parse().map_err(|_| DbError::Unexpected(was))?,
            order,
        },
        None => Change::Refused(order),
    }))
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    pub orders: Vec<Order>,
    /// Orders in the whole list.
    pub total: u64,
    pub has_more: bool,
}

/// The wanted page and the total of its list, newest order first.
pub async fn order_list(context: &Context, request: &ListRequest) -> Result<Page, Error> {
    let mut params = Params::default();
    let total = filter::total(&request.filter, &mut params);
    let mut conditions = filter::conditions(&request.filter, &mut params);
    let offset = match request.start {
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
    let offset = params.add(offset, "bigint");
    let statement = format!(
        "with total as ({total}), page as (
            select * from orders {where_clause}
            order by created_at desc, id desc limit {limit} offset {offset}
        ), o as (
            select {COLUMNS} from page as o {ITEMS}
        )
        select total.count, o.* from total left join o on true
        order by o.created_at desc, o.id desc",
        where_clause = filter::where_clause(&conditions),
    );
    let mut rows = run(context, statement, params.values).await?;
    let total: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
    let total = total.unsigned_abs();
    let page_size = usize::try_from(request.page_size).unwrap_or(usize::MAX);
    let has_more = rows.len() > page_size;
    rows.truncate(page_size);
    // A page without orders is one row with the total alone.
    let filled = rows.iter().filter(|row| row.get_uuid(1).is_ok());
    let orders: Result<Vec<_>, DbError> = filled.map(|row| order(row, 1)).collect();
    Ok(Page {
        orders: orders?,
        total,
        has_more,
    })
}

async fn run(
    context: &Context,
    statement: impl Into<String>,
    params: Vec<Param>,
) -> Result<Vec<Row>, DbError> {
    query(
        &context.config.database_url,
        statement,
        params,
        context.deadline,
    )
    .await
}
