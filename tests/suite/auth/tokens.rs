//! Tokens: those of the user service before, those of every algorithm, and what the log says of
//! those that are refused.

use order_service_tests::bodies::order_of;
use order_service_tests::scrape::Scrape;
use order_service_tests::tokens::{Signer, jwks, now_s, with};
use order_service_tests::{TestApp, wait};
use serde_json::{Value, json};

use super::{client, trusting, user};

const SECRET: &str = "a secret of thirty-two bytes, or more";

/// Claims as the user service before signs them.
fn before(user: &str, role: &str, kind: &str) -> Value {
    json!({
        "userId": user,
        "email": format!("{user}@shop.example"),
        "role": role,
        "type": kind,
        "iat": now_s(),
        "exp": now_s() + 900,
    })
}

#[tokio::test]
async fn tokens_of_the_user_service_before_work_by_settings_alone() {
    let app = TestApp::builder()
        .variable("auth_mode", "jwt")
        .variable("auth_secret", SECRET)
        .variable("auth_user_claim", "userId")
        .variable("auth_required_claims", "type=access")
        .variable("auth_staff_claims", "role=ADMIN")
        .start()
        .await;
    let signer = Signer::with_secret(SECRET);
    let sign = |claims: &Value| signer.sign_with(&json!({ "alg": "HS256", "typ": "JWT" }), claims);
    let token = |role, kind| app.api.with_token(&sign(&before("user123", role, kind)));

    let user = token("USER", "access");
    let order = user.order_create(&order_of(&["p1"])).await.success(201);
    let id = order.data()["id"].as_str().unwrap().to_owned();
    user.order_get(&id).await.assert_success(200);
    user.order_list("").await.assert_error(403, "forbidden");

    let admin = token("ADMIN", "access");
    assert_eq!(admin.order_list("").await.success(200).ids(), [id.as_str()]);
    admin
        .order_set_status(&id, "confirmed")
        .await
        .assert_success(200);

    for role in ["USER", "ADMIN"] {
        let refresh = token(role, "refresh");
        refresh
            .order_get(&id)
            .await
            .assert_error(401, "unauthenticated");
    }
    let another = Signer::with_secret(&SECRET.replace('a', "b"));
    let forged = app
        .api
        .with_token(&another.sign(&before("user123", "ADMIN", "access")));
    forged
        .order_get(&id)
        .await
        .assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn a_set_may_have_keys_of_every_algorithm() {
    let signers = [Signer::ed25519("a"), Signer::p256("b"), Signer::rsa("c")];
    let [a, b, c] = &signers;
    let app = trusting(a)
        .variable("auth_jwks", jwks(&[a, b, c]))
        .start()
        .await;

    for signer in &signers {
        let ann = client(&app, signer, &user("ann"));
        for _ in 0..2 {
            assert_eq!(
                ann.user_orders("ann", "").await.status,
                200,
                "{}",
                signer.algorithm()
            );
        }
        // One key for each algorithm, so a token need not name it.
        let header = json!({ "alg": signer.algorithm() });
        let nameless = app.api.with_token(&signer.sign_with(&header, &user("ann")));
        assert_eq!(
            nameless.user_orders("ann", "").await.status,
            200,
            "{}",
            signer.algorithm()
        );
    }
    for (id, signer) in [("b", a), ("c", b), ("a", c)] {
        let header = json!({ "alg": signer.algorithm(), "kid": id });
        let mixed_up = app.api.with_token(&signer.sign_with(&header, &user("ann")));
        let reply = mixed_up.user_orders("ann", "").await;
        reply.assert_error(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_token_is_refused_from_its_last_second_on_though_it_was_good_before() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer)
        .variable("auth_clock_skew_s", 0)
        .start()
        .await;
    let ann = client(&app, &signer, &with(user("ann"), "exp", now_s() + 3));

    assert_eq!(ann.user_orders("ann", "").await.status, 200);

    wait::until("the token has expired", async || {
        // Requests without a pause, so that the instance is the one that knows the token.
        ann.user_orders("ann", "").await.status == 401
    })
    .await;
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_in_the_log_alone() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer).start().await;
    let expired = signer.sign(&with(user("Marked-User"), "exp", now_s() - 60));
    let foreign = signer.sign(&with(user("Marked-User"), "aud", "shop"));

    let body = async |token: &str| {
        let reply = app.api.with_token(token).order_list("").await;
        reply.assert_error(401, "unauthenticated");
        let mut body = reply.json();
        body["request_id"].take();
        body
    };

    assert_eq!(body(&expired).await, body(&foreign).await);
    wait::until("the reasons are in the log", async || {
        let output = app.host.output();
        output.contains("it has expired") && output.contains("it is for another audience")
    })
    .await;
    let output = app.host.output();
    assert!(!output.contains("Marked-User"), "{output}");
    for token in [&expired, &foreign] {
        assert!(
            !output.contains(token.rsplit('.').next().unwrap()),
            "{output}"
        );
    }
    wait::until("they are counted", async || {
        let scrape = Scrape::parse(app.api.get("/metrics").await.text());
        scrape.sum("authentications_total", &[("result", "refused")]) >= 2.0
    })
    .await;
}
