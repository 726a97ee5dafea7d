//! The `OpenAPI` document, made from the types, bounds, rules and errors of the service.
//!
//! It is compiled for tests only. The component serves the file `openapi.json`, and the tests
//! below say when that file no longer is what this module makes; `make openapi` writes it anew.

mod document;
mod examples;
mod failures;
mod headers;
mod operations;
mod parameters;
pub mod schemas;
mod security;

use serde_json::{Map, Value, json};

/// The file that the component serves.
const COMMITTED: &str = include_str!("../openapi.json");

/// The whole document.
fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Order service",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "orders", "description": "Creation to delivery" },
            { "name": "users", "description": "The orders of one user" },
            { "name": "events", "description": "The change feed" },
            { "name": "service", "description": "Health, metrics, this" },
        ],
        "paths": paths(),
        "components": {
            "schemas": schemas::all(),
            "parameters": parameters::all(),
            "headers": headers::all(),
            "responses": failures::all(&operations::errors()),
            "securitySchemes": security::schemes(),
        },
    })
}

const DESCRIPTION: &str = "\
Every JSON response is an envelope: `{\"status\":\"success\",\"data\":…}` or \
`{\"status\":\"error\",\"code\":…,\"message\":…,\"request_id\":…}`. A program branches on `code`, a person \
reads `message`; `errors` lists everything that is wrong with a request at once.\n\n\
Money is exact decimal with two digits, written as a JSON number: read it with a decimal type, \
not with binary floating point.\n\n\
Unknown fields of a body and unknown query parameters are ignored, and later versions may add \
fields to responses. `HEAD` works wherever `GET` does. Each \
operation names its error codes; everywhere `method_not_allowed`, `uri_too_long`, \
`headers_too_large` and `internal_error` are possible too. Every response has the header \
`X-Request-Id`, which is in the log.\n\n\
With `auth_mode=jwt` callers show a bearer token: a user reaches its own orders, staff what its \
scopes allow, and what belongs to somebody else answers as if it were not there. With \
`auth_mode=none` nothing of that applies, and the service stands behind a gateway that knows who \
may call. Where a rate limit is set, the responses of all operations but `/health` and `/ready` \
have the headers `RateLimit` and `RateLimit-Policy`, unless the counters cannot be reached.";

/// The operations by path and method.
fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for operation in operations::all() {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method.to_ascii_lowercase()] = operation.to_json();
    }
    paths
}

fn text(document: &Value) -> String {
    let mut text = String::new();
    write(&mut text, document, 0);
    text + "\n"
}

/// A line for each operation and each component: few enough bytes, and good to compare.
fn write(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if depth < 3 && !fields.is_empty() => {
            let mut separator = "{\n";
            for (name, value) in fields {
                text.push_str(separator);
                text.push_str(&" ".repeat(depth));
                text.extend([&json!(name).to_string(), ": "]);
                write(text, value, depth.saturating_add(1));
                separator = ",\n";
            }
            text.push_str(" }");
        }
        _ => text.push_str(&value.to_string()),
    }
}

mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::ROUTES;

    /// The page's own style sheet and scripts are no part of the API.
    const UNDOCUMENTED: [(&str, &str); 1] = [("GET", "/docs/{file}")];

    #[test]
    fn the_committed_document_is_the_one_the_types_make() {
        let made = text(&document());
        if std::env::var_os("OPENAPI_WRITE").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), made).unwrap();
        } else {
            assert!(
                made == COMMITTED,
                "openapi.json is out of date; write it with `make openapi`"
            );
        }
    }

    #[test]
    fn the_document_has_exactly_the_operations_of_the_routes() {
        let routes: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| (route.method, route.path))
            .filter(|route| !UNDOCUMENTED.contains(route))
            .collect();
        let operations = operations::all();
        let documented: BTreeSet<_> = operations
            .iter()
            .map(|operation| (operation.method, operation.path))
            .collect();
        assert_eq!(documented, routes);
        assert_eq!(documented.len(), operations.len());
    }

    #[test]
    fn the_parameters_of_a_path_are_documented() {
        let document = document();
        for operation in operations::all() {
            let names: Vec<_> = operation
                .parameters
                .iter()
                .map(|name| &document["components"]["parameters"][*name])
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let in_path: Vec<_> = operation
                .path
                .split('/')
                .filter(|segment| segment.starts_with('{'))
                .collect();
            assert_eq!(names, in_path, "{}", operation.path);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        let pointer = reference.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    fields.values().for_each(|value| check(value, document));
                }
                Value::Array(values) => values.iter().for_each(|value| check(value, document)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
    }
}
