//! Settings that make no sense let nobody in, and are named at `/ready`.

use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use order_service_tests::tokens::{Signer, jwks};

const SECRET: &str = "a secret of thirty-two bytes, or more";

/// Settings, and the name of the one that is told.
fn mistakes() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let jwt = ("auth_mode", "jwt".to_owned());
    let secret = ("auth_secret", SECRET.to_owned());
    let set = ("auth_jwks", jwks(&[&Signer::ed25519("a")]));
    let url = ("auth_jwks_url", "http://127.0.0.1:9/keys".to_owned());
    let host = ("auth_jwks_host", "http://127.0.0.1:9".to_owned());
    let with = |name, value: &str| vec![jwt.clone(), secret.clone(), (name, value.to_owned())];
    vec![
        ("auth_mode", vec![jwt.clone()]),
        (
            "auth_mode",
            vec![("auth_mode", "JWT".into()), secret.clone()],
        ),
        ("auth_mode", vec![("auth_mode", String::new())]),
        ("auth_mode", vec![secret.clone()]),
        (
            "auth_secret",
            vec![jwt.clone(), ("auth_secret", "short".into())],
        ),
        (
            "auth_secret",
            vec![jwt.clone(), secret.clone(), set.clone()],
        ),
        (
            "auth_secret",
            vec![jwt.clone(), secret.clone(), url.clone(), host.clone()],
        ),
        (
            "auth_jwks_url",
            vec![jwt.clone(), set.clone(), url.clone(), host.clone()],
        ),
        ("auth_jwks", vec![jwt.clone(), ("auth_jwks", "{}".into())]),
        (
            "auth_jwks",
            vec![jwt.clone(), ("auth_jwks", r#"{"keys":[]}"#.into())],
        ),
        ("auth_jwks_host", vec![jwt.clone(), url.clone()]),
        (
            "auth_jwks_url",
            vec![jwt.clone(), ("auth_jwks_url", "/keys".into()), host.clone()],
        ),
        (
            "auth_required_claims",
            with("auth_required_claims", "access"),
        ),
        ("auth_staff_claims", with("auth_staff_claims", "=ADMIN")),
        ("auth_user_claim", with("auth_user_claim", "")),
        ("auth_clock_skew_s", with("auth_clock_skew_s", "3600")),
        ("cors_allowed_origins", with("cors_allowed_origins", "*")),
        (
            "cors_allowed_origins",
            vec![("cors_allowed_origins", "shop.example".into())],
        ),
        (
            "rate_limit_per_s",
            vec![("rate_limit_per_s", "many".into())],
        ),
        (
            "rate_limit_burst",
            vec![
                ("rate_limit_per_s", "5".into()),
                ("rate_limit_burst", "0".into()),
            ],
        ),
        (
            "client_address_header",
            vec![("client_address_header", "a b".into())],
        ),
        ("expose_metrics", vec![("expose_metrics", "no".into())]),
    ]
}

#[tokio::test]
async fn a_setting_that_makes_no_sense_lets_nobody_in() {
    for (name, settings) in mistakes() {
        let mut builder = TestApp::builder();
        for (name, value) in &settings {
            builder = builder.variable(name, value);
        }
        let app = builder.start().await;
        let api = app
            .api
            .with_token(&Signer::with_secret("short").sign(&super::user("ann")));

        let ready = app.api.ready().await;
        ready.assert_error(503, "misconfigured");
        let message = ready.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains(&format!("setting {name} ")),
            "{settings:?}: {message}"
        );
        for reply in [
            api.order_create(&order_of(&["p1"])).await,
            api.order_list("").await,
            api.order_get("00000000-0000-0000-0000-000000000000").await,
            api.get("/metrics").await,
        ] {
            reply.assert_error(503, "misconfigured");
            assert!(!reply.text().contains(name), "{}", reply.text());
        }
        app.db_assert_nothing_stored().await;
        api.health().await.assert_success(200);
        let output = app.host.output();
        assert!(output.contains(name), "{name} is in the log: {output}");
        assert!(!output.contains(SECRET), "{output}");
    }
}

#[tokio::test]
async fn ready_and_the_log_tell_that_nobody_is_asked_for_a_token() {
    let app = TestApp::start().await;

    let ready = app.api.ready().await.success(200).data();

    assert_eq!(ready["authentication"]["mode"], "none");
    let warning = ready["authentication"]["warning"].as_str().unwrap();
    assert!(warning.contains("auth_mode is none"), "{warning}");
    order_service_tests::wait::until("the log warns", async || {
        app.host.output().contains(warning)
    })
    .await;
    assert_eq!(app.host.output().matches(warning).count(), 1);
}

#[tokio::test]
async fn nothing_warns_of_a_service_that_asks_for_tokens() {
    let signer = Signer::ed25519("a");
    let app = super::trusting(&signer).start().await;

    let ready = app.api.ready().await.success(200).data();

    assert_eq!(
        ready["authentication"],
        serde_json::json!({ "mode": "jwt" })
    );
    assert!(!app.host.output().contains("auth_mode is none"));
}
