//! Who may call, what belongs to whom, and how often a caller may call.

mod cors;
mod exposure;
mod key_set;
mod limits;
mod matrix;
mod settings;
mod timing;
mod tokens;

use order_service_tests::tokens::{Signer, claims, jwks, with};
use order_service_tests::{Builder, Client, TestApp};
use serde_json::Value;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "orders";

/// The service, when callers show tokens that this one signs.
fn trusting(signer: &Signer) -> Builder {
    TestApp::builder()
        .variable("auth_mode", "jwt")
        .variable("auth_jwks", jwks(&[signer]))
        .variable("auth_issuer", ISSUER)
        .variable("auth_audience", AUDIENCE)
}

/// Good claims of a user.
fn user(name: &str) -> Value {
    let claims = with(claims(name), "iss", ISSUER);
    with(claims, "aud", AUDIENCE)
}

/// Good claims of somebody with these scopes.
fn staff(scopes: &str) -> Value {
    with(user("staff"), "scope", scopes)
}

/// A client that shows a token with these claims.
fn client(app: &TestApp, signer: &Signer, claims: &Value) -> Client {
    app.api.with_token(&signer.sign(claims))
}
