//! Every route × every kind of caller, by the table of routes: the documented status, nothing of
//! somebody else's in any answer, and no trace of what was refused.

use order_service::auth::access::Access;
use order_service::identity::scopes::Scope;
use order_service::routes::ROUTES;
use order_service_tests::bodies::order_of;
use order_service_tests::tokens::{Signer, base64url, message, now_s, with};
use order_service_tests::{Client, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{staff, trusting, user};

const OWNER: &str = "Owner-of-the-order";
const OTHER: &str = "somebody-else";
const ADDRESS: &str = "1 Secret Lane";

/// What a caller shows, and what that makes of it.
struct Caller {
    name: String,
    authorization: Option<String>,
    rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rank {
    /// Not let in.
    Unknown,
    Owner,
    Other,
    Staff(Scope),
    AllScopes,
}

impl Rank {
    fn has(self, scope: Scope) -> bool {
        matches!(self, Self::AllScopes) || self == Self::Staff(scope)
    }
}

/// Every kind of caller.
fn callers(signer: &Signer) -> Vec<Caller> {
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let owner = user(OWNER);
    let good = signer.sign(&owner);
    let header = json!({ "alg": "EdDSA", "kid": signer.id });
    let none = json!({ "alg": "none", "kid": signer.id });
    let public_key_as_secret = Signer::with_secret(signer.jwk()["x"].as_str().unwrap());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = message(&header, &with(owner.clone(), "scope", "orders:read"));
    let signed = |claims: Value| bearer(signer.sign(&claims));
    let unknown = [
        ("no token", None),
        ("another scheme", Some("Basic dXNlcjpwYXNz".to_owned())),
        ("no JWT", bearer("let-me-in".into())),
        ("an empty token", bearer(String::new())),
        (
            "a lower-case scheme with rubbish",
            Some("bearer a.b.c".to_owned()),
        ),
        ("expired", signed(with(owner.clone(), "exp", now_s() - 60))),
        (
            "for ever",
            signed(json!({ "sub": OWNER, "iss": super::ISSUER, "aud": super::AUDIENCE })),
        ),
        (
            "not yet valid",
            signed(with(owner.clone(), "nbf", now_s() + 600)),
        ),
        ("wrong audience", signed(with(owner.clone(), "aud", "shop"))),
        (
            "wrong issuer",
            signed(with(owner.clone(), "iss", "https://evil.example")),
        ),
        ("nobody", signed(with(owner.clone(), "sub", ""))),
        (
            "no algorithm",
            bearer(format!("{}.", message(&none, &owner))),
        ),
        (
            "no algorithm, but a signature",
            bearer(format!("{}.{signature}", message(&none, &owner))),
        ),
        (
            "the public key as a secret",
            bearer(
                public_key_as_secret
                    .sign_with(&json!({ "alg": "HS256", "kid": signer.id }), &owner),
            ),
        ),
        (
            "another algorithm",
            bearer(Signer::p256(&signer.id).sign(&owner)),
        ),
        (
            "another key of the same name",
            bearer(Signer::ed25519(&signer.id).sign(&owner)),
        ),
        (
            "an unknown key",
            bearer(Signer::ed25519("unheard-of").sign(&owner)),
        ),
        (
            "other claims, same signature",
            bearer(format!("{forged}.{signature}")),
        ),
        (
            "a signature of nothing",
            bearer(format!("{head}.{}", base64url(&[0; 64]))),
        ),
        ("no signature", bearer(format!("{head}."))),
        (
            "what is critical and unknown",
            bearer(signer.sign_with(&with(header.clone(), "crit", json!(["exp"])), &owner)),
        ),
    ];
    let unknown = unknown.into_iter().map(|(name, authorization)| Caller {
        name: name.to_owned(),
        authorization,
        rank: Rank::Unknown,
    });
    let known = |name: &str, claims: Value, rank| Caller {
        name: name.to_owned(),
        authorization: signed(claims),
        rank,
    };
    let scopes = Scope::ALL.map(|scope| {
        let claims = staff(&format!("openid {} profile", scope.as_str()));
        known(scope.as_str(), claims, Rank::Staff(scope))
    });
    let all = "orders:read orders:write orders:status orders:events";
    let rest = [
        known("the owner", owner.clone(), Rank::Owner),
        known("another user", user(OTHER), Rank::Other),
        known(
            "scopes in a claim of another name",
            with(user(OTHER), "scopes", all),
            Rank::Other,
        ),
        known("every scope", staff(all), Rank::AllScopes),
    ];
    unknown.chain(scopes).chain(rest).collect()
}

/// The documented status.
fn expected(route: &str, access: Access, rank: Rank) -> u16 {
    let success = if route == "POST /api/orders" {
        201
    } else {
        200
    };
    let Some(scope) = access.scope() else {
        return success;
    };
    // The body names the owner: that is another's name, not another's order.
    let not_theirs = if route == "POST /api/orders" {
        403
    } else {
        404
    };
    match (access, rank) {
        (_, Rank::Unknown) => 401,
        (_, rank) if rank.has(scope) => success,
        (Access::Staff(_), _) | (Access::SeeOwn(_), Rank::Owner) => 403,
        (_, Rank::Owner) => success,
        (_, _) => not_theirs,
    }
}

/// Calls the route, about the owner's order.
async fn call(api: &Client, caller: &Caller, route: &str, order_id: &str) -> Reply {
    let (method, path) = route.split_once(' ').unwrap();
    let path = path
        .replace("{id}", order_id)
        .replace("{user_id}", OWNER)
        .replace("{file}", "swagger-ui.css");
    let mut call = api.call(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    if let Some(authorization) = &caller.authorization {
        call = call.header("authorization", authorization);
    }
    let call = match route {
        "POST /api/orders" => call.json(&with(order_of(&["p1"]), "user_id", OWNER)),
        "PATCH /api/orders/{id}/status" => call.json(&json!({ "status": "confirmed" })),
        _ => call,
    };
    call.send().await
}

async fn order_of_owner(api: &Client) -> String {
    let order = with(order_of(&["p1"]), "user_id", OWNER);
    let order = with(order, "shipping_address", ADDRESS);
    let reply = api.order_create(&order).await.success(201);
    reply.data()["id"].as_str().unwrap().to_owned()
}

/// What a call may have changed.
async fn db_state(app: &TestApp) -> i64 {
    let sum = "select count(*) * 1000 + coalesce(sum(version), 0) from orders";
    app.database.db_count(sum).await
}

#[tokio::test]
async fn every_route_answers_every_caller_as_documented() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer).start().await;
    let clerk = super::client(&app, &signer, &staff("orders:read orders:write"));

    for caller in callers(&signer) {
        for route in ROUTES {
            let name = format!("{} {}", route.method, route.path);
            let about_an_order = route.path.contains("{id}");
            for is_cached in [false, true] {
                if is_cached && !about_an_order {
                    continue;
                }
                let id = order_of_owner(&clerk).await;
                if is_cached {
                    app.until_cached_by(&clerk, &id).await;
                }
                let before = db_state(&app).await;

                let reply = call(&app.api, &caller, &name, &id).await;

                let what = format!("{} calls {name}, cached: {is_cached}", caller.name);
                let status = expected(&name, route.access, caller.rank);
                assert_eq!(reply.status, status, "{what}: {}", reply.text());
                if status >= 400 {
                    let code = match status {
                        401 => "unauthenticated",
                        403 => "forbidden",
                        _ if about_an_order => "order_not_found",
                        _ => "not_found",
                    };
                    reply.assert_error(status, code);
                    for secret in [OWNER, ADDRESS] {
                        assert!(!reply.text().contains(secret), "{what}: {}", reply.text());
                    }
                    assert_eq!(reply.header("etag"), None, "{what}");
                    assert_eq!(db_state(&app).await, before, "{what}");
                }
                let challenge = reply.header("www-authenticate").map(ToOwned::to_owned);
                let expected = match (status, &caller.authorization) {
                    // A space at the end of a header does not arrive.
                    (401, Some(it)) if it.trim().to_lowercase().starts_with("bearer ") => {
                        Some("Bearer error=\"invalid_token\"".to_owned())
                    }
                    (401, _) => Some("Bearer".to_owned()),
                    _ => None,
                };
                assert_eq!(challenge, expected, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn without_tokens_everybody_may_do_everything() {
    let app = TestApp::start().await;
    let id = order_of_owner(&app.api).await;
    let nobody = Caller {
        name: "nobody".into(),
        authorization: Some("Bearer whatever".into()),
        rank: Rank::AllScopes,
    };

    for route in ROUTES {
        let name = format!("{} {}", route.method, route.path);
        let reply = call(&app.api, &nobody, &name, &id).await;
        assert_eq!(
            reply.status,
            expected(&name, route.access, nobody.rank),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_user_sees_and_cancels_its_own_and_nothing_else() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer).start().await;
    let [ann, bob] = ["ann \"the user\"", "bob"].map(|it| super::client(&app, &signer, &user(it)));
    let mut order = order_of(&["p1"]);
    order.as_object_mut().unwrap().remove("user_id");

    let created = ann.order_create(&order).await.success(201).data();
    let of_bob = bob.order_create(&order).await.success(201).data();

    assert_eq!(created["user_id"], "ann \"the user\"");
    let id = created["id"].as_str().unwrap();
    for _ in 0..2 {
        assert_eq!(ann.order_get(id).await.success(200).data(), created);
        bob.order_get(id).await.assert_error(404, "order_not_found");
        app.until_cached_by(&ann, id).await;
    }
    let own = ann.user_orders("ann \"the user\"", "").await.success(200);
    assert_eq!(own.ids(), [id]);
    ann.user_orders("bob", "")
        .await
        .assert_error(404, "not_found");
    ann.user_orders("nobody", "")
        .await
        .assert_error(404, "not_found");
    bob.order_cancel(id)
        .await
        .assert_error(404, "order_not_found");
    ann.order_cancel(id).await.assert_success(200);
    let id = of_bob["id"].as_str().unwrap();
    ann.order_set_status(id, "confirmed")
        .await
        .assert_error(404, "order_not_found");
    bob.order_set_status(id, "confirmed")
        .await
        .assert_error(403, "forbidden");
}
