//! Which paths lead to the component.

use anyhow::{Result, ensure};

/// What a matched route tells the guest through headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'a> {
    /// The route as the manifest has it.
    pub route: &'a str,
    /// The route without its trailing wildcard.
    pub prefix: &'a str,
    /// What the trailing wildcard stands for, with its leading slash.
    pub rest: String,
}

/// Checks that the stand-in can match a route: an exact path, or one that ends with `/...`.
///
/// # Errors
///
/// The route has named segments or does not start with a slash.
pub fn check(route: &str) -> Result<()> {
    ensure!(
        route.starts_with('/'),
        "route {route:?} does not start with a slash"
    );
    let fixed = route.strip_suffix("/...").unwrap_or(route);
    ensure!(
        !fixed.contains([':', '*']) && !fixed.contains("..."),
        "route {route:?}: the stand-in knows exact routes and a trailing \"/...\" only"
    );
    Ok(())
}

/// Finds the route for a path. An exact one wins, then the wildcard with the longest prefix.
#[must_use]
pub fn find<'a>(routes: &'a [String], path: &str) -> Option<Match<'a>> {
    routes
        .iter()
        .filter_map(|route| match_one(route, path))
        .max_by_key(|found| (found.route == found.prefix, found.prefix.len()))
}

fn match_one<'a>(route: &'a str, path: &str) -> Option<Match<'a>> {
    let Some(prefix) = route.strip_suffix("/...") else {
        let same = route.trim_end_matches('/') == path.trim_end_matches('/');
        return same.then(|| Match {
            route,
            prefix: route,
            rest: String::new(),
        });
    };
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| Match {
        route,
        prefix,
        rest: rest.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(routes: &[&str], path: &str) -> Option<String> {
        let routes: Vec<_> = routes.iter().map(|route| (*route).to_owned()).collect();
        find(&routes, path).map(|found| found.route.to_owned())
    }

    #[test]
    fn an_exact_route_wins_and_then_the_longest_prefix() {
        let routes = ["/...", "/api/...", "/api/orders"];
        assert_eq!(
            found(&routes, "/api/orders").as_deref(),
            Some("/api/orders")
        );
        assert_eq!(found(&routes, "/api/orders/1").as_deref(), Some("/api/..."));
        assert_eq!(found(&routes, "/apiary").as_deref(), Some("/..."));
        assert_eq!(found(&["/api/..."], "/apiary"), None);
    }

    #[test]
    fn named_segments_are_refused() {
        assert!(check("/api/:id").is_err());
        assert!(check("api").is_err());
        assert!(check("/...").is_ok());
        assert!(check("/a/b").is_ok());
    }
}
