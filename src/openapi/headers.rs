//! The headers of responses.

use serde_json::{Map, Value, json};

pub const X_REQUEST_ID: &str = "X-Request-Id";

/// `components.headers`. Each is always there where it is listed, but `Link` and
/// `Idempotent-Replayed`.
pub fn all() -> Value {
    json!({
        "XRequestId": header(
            "The request's own id if it was 1 to 128 visible ASCII characters, else a new one.",
            &json!({ "type": "string", "pattern": "^[!-~]{1,128}$" }),
        ),
        "XContentTypeOptions": header(
            "Keeps browsers from guessing the type.",
            &json!({ "const": "nosniff" }),
        ),
        "CacheControl": header(
            "Who may keep the response: nobody but the client, where it has orders.",
            &json!({ "type": "string" }),
        ),
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
            "Requests that are left (`r`), and seconds (`t`) until there is one.",
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
        "Allow": header(
            "The methods of the path.",
            &json!({ "type": "string" }),
        ),
        "ContentSecurityPolicy": header(
            "What a page may load: nothing, and `/docs` files of this host only.",
            &json!({ "type": "string" }),
        ),
    })
}

fn header(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "required": true, "schema": schema })
}

/// The `headers` of a response: those of every response, and `names`, which look in
/// `components.headers` as they do on the wire but for their hyphens.
pub fn of_response(names: &[&str]) -> Map<String, Value> {
    [
        X_REQUEST_ID,
        "X-Content-Type-Options",
        "Content-Security-Policy",
    ]
    .iter()
    .chain(names)
    .map(|name| {
        let (wire, key) = match *name {
            "FileETag" => ("ETag", "FileETag".to_owned()),
            name => (name, name.replace('-', "")),
        };
        let reference = json!({ "$ref": format!("#/components/headers/{key}") });
        (wire.to_owned(), reference)
    })
    .collect()
}
