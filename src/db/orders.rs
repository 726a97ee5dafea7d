//! The statements on orders. Each returns documents as text: rows and columns are what is
//! expensive on this platform, bytes are not. Documents are made, and orders changed, by
//! functions of the database (`migrations/`), whose plans a connection keeps.

mod filter;

use uuid::Uuid;

use super::gate::run;
use super::replica;
use crate::context::Context;
use crate::domain::cursor::Position;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::list::{ListRequest, Start};
use crate::domain::order::{Order, OrderDocument};
use crate::domain::status::Status;
use crate::error::Error;
use crate::platform::postgres::{DbError, Row, Until};
use filter::Params;

/// Stores a new order with its items, its body, its idempotency key and its first event; `None`
/// if the order or its key is there already. Storing the same order again does nothing, so the
/// statement may be repeated when a connection is lost.
pub async fn order_insert(
    context: &Context,
    order: &Order,
) -> Result<Option<OrderDocument>, Error> {
    let statement = "select order_create($1::text::json)";
    let param = serde_json::to_string(order)?;
    let row = run(context, statement, vec![param.into()], Until::Commit).await?;
    let json = row.map_or(Ok(None), |mut row| row.take_text(0))?;
    Ok(json.map(|json| OrderDocument {
        id: order.id,
        version: 1,
        json,
    }))
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
        select id::text, fingerprint::text, 1, order_document(id, body, 'pending', 1, created_at)
        from order_by_key($1::text, $2::text)";
    let params = vec![user_id.into(), key.as_str().into()];
    let Some(row) = run(context, statement, params, Until::Row).await? else {
        return Ok(None);
    };
    Ok(Some(Keyed {
        fingerprint: uuid(&row, 1)?,
        order: document(uuid(&row, 0)?, row, 2)?,
    }))
}

/// The order with this id; with an `owner`, if it is that user's.
pub async fn order_find(
    context: &Context,
    id: Uuid,
    owner: Option<&str>,
) -> Result<Option<OrderDocument>, Error> {
    let statement = "
        select version, order_document(id, body, status, version, updated_at)
        from order_by_id($1::uuid) where ($2::text is null or user_id = $2::text)";
    let params = vec![id.into(), owner.into()];
    let row = run(context, statement, params, Until::Row).await?;
    Ok(row.map(|row| document(id, row, 0)).transpose()?)
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
/// two clients that race, one finds the order as the other left it. With an `owner`, only that
/// user's orders are there.
pub async fn order_change_status(
    context: &Context,
    id: Uuid,
    owner: Option<&str>,
    to: Status,
    reason: Option<String>,
    versions: Option<Vec<String>>,
) -> Result<Option<Change>, Error> {
    let allowed: Vec<_> = to.previous().map(|status| status.to_string()).collect();
    let mut params = vec![
        id.into(),
        to.as_str().into(),
        allowed.into(),
        reason.as_deref().into(),
        versions.into(),
    ];
    let order = match owner {
        None => "$1::uuid",
        Some(owner) => {
            params.push(owner.into());
            "(select id from orders where id = $1::uuid and user_id = $6::text)"
        }
    };
    let statement = format!(
        "select was, is_made, version, document
         from order_change_status({order}, $2::text, $3::text[], $4::text, $5::text[])"
    );
    let Some(row) = run(context, statement, params, Until::Commit).await? else {
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
    let kinds = filter::kinds(&request.filter, &mut params);
    let total = filter::total(&request.filter, &kinds, &mut params);
    let mut conditions = filter::conditions(&request.filter, &kinds, &mut params);
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
    let places = format!(
        "{where_clause} order by created_at desc, id desc limit {limit} offset {start}",
        where_clause = filter::where_clause(&conditions),
        // One more than wanted tells whether there is a next page.
        limit = request.page_size.saturating_add(1),
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
        "select ({total}), count(*),
                string_agg(order_document(id, body, status, version, updated_at), '{SEPARATOR}')
         from ({page}) as page"
    );
    let row = match replica::read(context, &statement, &params.values).await? {
        row @ Some(_) => row,
        None => run(context, statement, params.values, Until::Row).await?,
    };
    let mut row = row.ok_or_else(|| DbError::Unexpected("a list without a row".into()))?;
    let (total, count): (i64, i64) = (row.get(0)?, row.get(1)?);
    let mut orders = row.take_text(2)?.unwrap_or_default();
    let mut next = None;
    if count > request.page_size.into() {
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
fn document(id: Uuid, mut row: Row, first: usize) -> Result<OrderDocument, DbError> {
    let json = row.take_text(first.saturating_add(1))?;
    Ok(OrderDocument {
        id,
        version: row.get(first)?,
        json: json.ok_or_else(|| DbError::Unexpected(format!("order {id} has no document")))?,
    })
}

fn uuid(row: &Row, index: usize) -> Result<Uuid, DbError> {
    let text: String = row.get(index)?;
    let id = text.parse();
    id.map_err(|error: uuid::Error| DbError::Unexpected(error.to_string()))
}
