//! The headers of responses.

use serde_json::{Value, json};

pub const X_REQUEST_ID: &str = "X-Request-Id";

/// `components.headers`. Each is always there where it is listed, but `Link` and
/// `Idempotent-Replayed`.
pub fn all() -> Value {
    json!({
        "ETag": header(
            "The version of the order as an entity tag.",
            &json!({ "type": "string", "pattern": "^\"[1-9][0-9]*\"$" }),
        ),
        "FileETag": header(
            "The entity tag of the file.",
            &json!({ "type": "string", "pattern": "^\"[0-9a-f]+(-gzip)?\"$" }),
        ),
        "Location": header(
            "The path of the new order.",
            &json!({ "type": "string", "format": "uri-reference", "pattern": "^/api/orders/[0-9a-f-]{36}$" }),
        ),
        "Link": {
            "description": "The path of the next page, as in RFC 8288; absent on the last page.",
            "schema": { "type": "string", "pattern": "^<[^>]+>; rel=\"next\"$" },
        },
        "IdempotentReplayed": {
            "description": "There when the order had been created before with the same key.",
            "schema": { "const": "true" },
        },
        "WWWAuthenticate": header(
            "`Bearer`, with `error=\"invalid_token\"` if a token was shown.",
            &json!({ "type": "string", "pattern": "^Bearer( error=\"invalid_token\")?$" }),
        ),
        "RateLimit": header(
            "Requests that are left (`r`), and seconds (`t`) until all are again; without any, until there is one.",
            &json!({ "type": "string", "pattern": "^\"requests\";r=[0-9]+;t=[0-9]+$" }),
        ),
        "RateLimitPolicy": header(
            "Requests (`q`) that a caller may make in a time of `w` seconds.",
            &json!({ "type": "string", "pattern": "^\"requests\";q=[0-9]+;w=[0-9]+$" }),
        ),
        "RetryAfter": header(
            "Seconds after which a new attempt may succeed.",
            &json!({ "type": "integer", "minimum": 0 }),
        ),
    })
}

fn header(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "required": true, "schema": schema })
}

/// A response with `names` beside the headers of every response, and the rest in `response`. The
/// names are looked for in `components.headers` without their hyphens.
pub fn with(names: &[&str], mut response: Value) -> Value {
    for name in names {
        let (wire, key) = match *name {
            "FileETag" => ("ETag", "FileETag".to_owned()),
            name => (name, name.replace('-', "")),
        };
        let reference = json!({ "$ref": format!("#/components/headers/{key}") });
        response["headers"][wire] = reference;
    }
    response
}
