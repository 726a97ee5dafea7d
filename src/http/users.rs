//! `/api/users/{user_id}/orders`: a user's history.

use axum::extract::RawQuery;
use axum::response::Response;

use super::extract::UserId;
use super::page;
use crate::auth::Caller;
use crate::context::Context;
use crate::domain::list::{Filter, ListRequest};
use crate::error::Error;
use crate::platform::http_client::encode_segment;

pub async fn user_order_list(
    context: Context,
    caller: Caller,
    user: UserId,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    if !caller.reaches(&user.0) {
        return Err(Error::NotFound);
    }
    let path = format!("/api/users/{}/orders", encode_segment(&user.0));
    let request = ListRequest::parse(query.as_deref().unwrap_or_default(), Some(user.0))?;
    // The user is in the path already.
    let filter = Filter {
        user_id: None,
        ..request.filter.clone()
    };
    page::respond(&context, &request, &path, &filter.to_query()).await
}
