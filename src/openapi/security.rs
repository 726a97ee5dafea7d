//! Who may call, from the table of routes.

use serde_json::{Value, json};

use crate::auth::access::Access;
use crate::identity::scopes::Scope;
use crate::routes::ROUTES;

/// `components.securitySchemes`.
pub fn schemes() -> Value {
    let scopes = Scope::ALL
        .map(|scope| format!("`{}`", scope.as_str()))
        .join(", ");
    let description = format!(
        "Needed with `auth_mode=jwt`: a JWT, signed by EdDSA, ES256 or RS256 with a key of the \
         configured set, or by HS256 with the configured secret. Scopes of staff: {scopes}."
    );
    json!({ "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": description,
    } })
}

/// Who may call the operation.
pub fn access(method: &str, path: &str) -> Access {
    let mut routes = ROUTES.iter();
    let route = routes.find(|route| (route.method, route.path) == (method, path));
    route.unwrap().access
}

/// The `security` of an operation. Without `auth_mode=jwt` nothing is needed, so nothing is one
/// of the alternatives.
pub fn requirement(access: Access) -> Value {
    match access.scope() {
        None => json!([]),
        Some(_) => json!([{}, { "bearer": [] }]),
    }
}

/// Who may call, for the description.
pub fn sentence(access: Access) -> String {
    match access {
        Access::Probe => String::new(),
        Access::Metrics => "Absent with `expose_metrics=false`.".into(),
        Access::Docs => "Absent with `expose_docs=false`.".into(),
        Access::Own(scope) => format!(
            "With `auth_mode=jwt`: the user itself, or staff with `{}`.",
            scope.as_str()
        ),
        Access::SeeOwn(scope) | Access::Staff(scope) => {
            format!("With `auth_mode=jwt`: staff with `{}`.", scope.as_str())
        }
    }
}
