//! How a table of routes is followed.

use core::cell::RefCell;

use axum::Router;
use axum::routing::MethodRouter;

use crate::auth::access::Access;
use crate::error::Error;

/// One operation of the API.
pub struct Route {
    pub method: &'static str,
    /// With `{parameters}`.
    pub path: &'static str,
    pub access: Access,
    handler: fn() -> MethodRouter,
}

pub const fn route(
    method: &'static str,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter,
) -> Route {
    Route {
        method,
        path,
        access,
        handler,
    }
}

thread_local! {
    static ROUTER: RefCell<Option<Router>> = const { RefCell::new(None) };
}

/// The table as axum understands it, made once per instance.
pub fn router(routes: &[Route]) -> Router {
    ROUTER.with_borrow_mut(|router| {
        router
            .get_or_insert_with(|| {
                let table = routes.iter().fold(Router::new(), |router, route| {
                    router.route(route.path, (route.handler)())
                });
                table
                    .method_not_allowed_fallback(async || Error::MethodNotAllowed)
                    .fallback(async || Error::NotFound)
            })
            .clone()
    })
}

/// An operation with the path of the table that leads where this one does. Found here once more,
/// because axum tells it to handlers only, and what would take it from them costs every request a
/// detour.
pub fn at<'a>(routes: &'a [Route], path: &str) -> Option<&'a Route> {
    routes.iter().find(|route| leads_to(route.path, path))
}

/// The operation to which the method and the path lead.
pub fn find<'a>(routes: &'a [Route], method: &str, path: &str) -> Option<&'a Route> {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut routes = routes.iter();
    routes.find(|route| route.method == method && leads_to(route.path, path))
}

fn leads_to(template: &str, path: &str) -> bool {
    let mut path = path.split('/');
    let matching = template.split('/').all(|wanted| match path.next() {
        Some(segment) if wanted.starts_with('{') => !segment.is_empty(),
        Some(segment) => segment == wanted,
        None => false,
    });
    matching && path.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_as_many_segments_as_its_paths() {
        for (template, path, expected) in [
            ("/health", "/health", true),
            ("/health", "/health/", false),
            ("/health", "/healthy", false),
            ("/health", "/", false),
            ("/api/orders/{id}", "/api/orders/1", true),
            ("/api/orders/{id}", "/api/orders/%2F", true),
            ("/api/orders/{id}", "/api/orders/", false),
            ("/api/orders/{id}", "/api/orders", false),
            ("/api/orders/{id}", "/api/orders/1/status", false),
            ("/api/orders/{id}/status", "/api/orders/1/status", true),
        ] {
            assert_eq!(leads_to(template, path), expected, "{template} {path}");
        }
    }
}
