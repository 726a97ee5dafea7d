//! What says how the service is, and what it can do.

use serde_json::{Value, json};

use super::{Operation, json_response, not_modified};
use crate::error::Error;
use crate::openapi::headers;

pub fn health() -> Operation {
    Operation {
        method: "GET",
        path: "/health",
        id: "health",
        tag: "service",
        summary: "Is the service alive?",
        description: "Asks no other service.",
        success: ("200", json_response("It is", &[], "HealthResponse")),
        ..Operation::default()
    }
}

pub fn ready() -> Operation {
    Operation {
        method: "GET",
        path: "/ready",
        id: "ready",
        tag: "service",
        summary: "Can the service serve orders?",
        success: ("200", json_response("It can", &[], "ReadinessResponse")),
        errors: vec![Error::NotReady],
        ..Operation::default()
    }
}

/// A response with text; `types` are its content types with an example of each.
fn text_response(description: &str, names: &[&str], types: &[(&str, &str)]) -> Value {
    let content: serde_json::Map<_, _> = types
        .iter()
        .map(|&(content_type, example)| {
            let media = json!({ "schema": { "type": "string" }, "example": example });
            (content_type.to_owned(), media)
        })
        .collect();
    headers::with(
        names,
        json!({ "description": description, "content": content }),
    )
}

pub fn metrics() -> Operation {
    let types = [
        ("text/plain", "dependency_up{dependency=\"database\"} 1\n"),
        (
            "application/openmetrics-text",
            "dependency_up{dependency=\"database\"} 1\n# EOF\n",
        ),
    ];
    Operation {
        method: "GET",
        path: "/metrics",
        id: "metrics",
        tag: "service",
        summary: "Metrics for Prometheus",
        description: "The sums over all replicas. What cannot be read is absent, and its \
                      dependency shown as down. `Accept: application/openmetrics-text` asks for \
                      that format.",
        success: ("200", text_response("The metrics", &[], &types)),
        ..Operation::default()
    }
}

pub fn openapi() -> Operation {
    let names = ["FileETag"];
    let content = json!({ "application/json": {} });
    let response = json!({ "description": "The document", "content": content });
    let response = headers::with(&names, response);
    Operation {
        method: "GET",
        path: "/openapi.json",
        id: "openapi",
        tag: "service",
        summary: "This document",
        parameters: vec!["IfNoneMatch"],
        success: ("200", response),
        not_modified: Some(not_modified(&names)),
        ..Operation::default()
    }
}

pub fn docs() -> Operation {
    let names = ["FileETag"];
    let types = [("text/html", "<!doctype html>")];
    Operation {
        method: "GET",
        path: "/docs",
        id: "docs",
        tag: "service",
        summary: "A page to read and try this API",
        parameters: vec!["IfNoneMatch"],
        success: ("200", text_response("The page", &names, &types)),
        not_modified: Some(not_modified(&names)),
        ..Operation::default()
    }
}
