//! One page of a list of orders, for every route that has one.

use axum::response::Response;

use super::envelope::{self, Pagination};
use crate::context::Context;
use crate::db;
use crate::domain::list::{ListRequest, Start};
use crate::error::Error;

/// Answers with the wanted page; `path` and `filter` make the link to the next one.
pub async fn respond(
    context: &Context,
    request: &ListRequest,
    path: &str,
    filter: &str,
) -> Result<Response, Error> {
    let page = db::orders::order_list(context, request).await?;
    let next_cursor = page
        .next
        .map(|position| position.encode(&request.filter.to_query()));
    let page_size = request.page_size;
    let next = next_cursor.as_ref().map(|cursor| {
        let separator = if filter.is_empty() { "" } else { "&" };
        format!("{path}?{filter}{separator}cursor={cursor}&page_size={page_size}")
    });
    let pagination = Pagination {
        page: match request.start {
            Start::Page(page) => Some(page),
            Start::After(_) => None,
        },
        page_size,
        total: page.total,
        total_pages: page.total.div_ceil(u64::from(page_size)),
        next_cursor,
    };
    envelope::page(&page.orders, &pagination, next)
}
