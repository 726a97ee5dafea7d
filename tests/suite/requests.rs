//! What holds for every request: paths, methods, request ids.

use order_service_tests::TestApp;
use reqwest::Method;
use uuid::Uuid;

#[tokio::test]
async fn an_unknown_path_is_a_404() {
    let app = TestApp::start().await;
    let id = Uuid::new_v4();
    let paths = [
        "/",
        "/nothing",
        "/api",
        "/api/",
        "/api/order",
        "/api/orders/",
        &format!("/api/orders/{id}/"),
        &format!("/api/orders/{id}/nothing"),
        "/health/",
        "/HEALTH",
        "/api//orders",
        "/metrics/nothing",
        "/%2e%2e/%2e%2e/etc/passwd",
    ];

    for path in paths {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let reply = app.api.call(method.clone(), path).send().await;

            assert_eq!(
                (reply.status, reply.code().as_str()),
                (404, "not_found"),
                "{method} {path}"
            );
            reply.assert_error(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_names_the_right_ones() {
    let app = TestApp::start().await;
    let order = format!("/api/orders/{}", Uuid::new_v4());
    let cases = [
        (Method::POST, "/health", &["GET", "HEAD"][..]),
        (Method::DELETE, "/health", &["GET", "HEAD"]),
        (Method::PUT, "/ready", &["GET", "HEAD"]),
        (Method::DELETE, "/api/orders", &["POST"]),
        (Method::PUT, "/api/orders", &["POST"]),
        (Method::PATCH, "/api/orders", &["POST"]),
        (Method::POST, &order, &["GET", "HEAD"]),
        (Method::PUT, &order, &["GET", "HEAD"]),
        (Method::DELETE, &order, &["GET", "HEAD"]),
        (Method::PATCH, &order, &["GET", "HEAD"]),
        (
            Method::from_bytes(b"BREW").unwrap(),
            &order,
            &["GET", "HEAD"],
        ),
    ];

    for (method, path, allowed) in cases {
        let reply = app.api.call(method.clone(), path).send().await;

        assert_eq!(reply.status, 405, "{method} {path}: {}", reply.text());
        reply.assert_error(405, "method_not_allowed");
        let allow: Vec<&str> = reply
            .header("allow")
            .unwrap_or_default()
            .split(',')
            .collect();
        for name in allowed {
            assert!(
                allow.iter().any(|it| it.trim() == *name),
                "{method} {path}: {allow:?}"
            );
        }
        assert!(
            !allow.iter().any(|it| it.trim() == method.as_str()),
            "{method} {path}: {allow:?}"
        );
    }
}

#[tokio::test]
async fn a_request_id_is_echoed_if_it_is_one() {
    let app = TestApp::start().await;
    let longest = "x".repeat(128);

    for id in [
        "a",
        "req-42",
        "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~",
        longest.as_str(),
    ] {
        for path in ["/health", "/nothing", "/api/orders/1"] {
            let reply = app
                .api
                .call(Method::GET, path)
                .header("x-request-id", id)
                .send()
                .await;

            assert_eq!(reply.header("x-request-id"), Some(id), "{path}");
            if reply.status != 200 {
                assert_eq!(reply.json()["request_id"], id);
            }
        }
    }
}

#[tokio::test]
async fn a_request_id_is_made_up_if_there_is_none_or_it_is_none() {
    let app = TestApp::start().await;
    let too_long = "x".repeat(129);
    let mut seen = std::collections::HashSet::new();

    for bad in [
        None,
        None,
        Some(""),
        Some("two words"),
        Some("tab\there"),
        Some(too_long.as_str()),
    ] {
        let call = app.api.call(Method::GET, "/health");
        let call = bad
            .iter()
            .fold(call, |call, bad| call.header("x-request-id", bad));
        let reply = call.send().await.success(200);

        let id = reply.header("x-request-id").unwrap().to_owned();
        assert_ne!(Some(id.as_str()), bad);
        assert!(seen.insert(id), "made up anew each time");
    }
}

#[tokio::test]
async fn request_ids_that_are_not_ascii_are_replaced() {
    let app = TestApp::start().await;

    let reply = app
        .api
        .call(Method::GET, "/health")
        .header("x-request-id", "ünïcode")
        .send()
        .await;

    let id = reply
        .success(200)
        .header("x-request-id")
        .unwrap()
        .to_owned();
    assert!(id.is_ascii() && !id.is_empty());
}

#[tokio::test]
async fn a_path_or_query_over_8_kib_is_a_414() {
    let app = TestApp::start().await;
    let longest = format!(
        "/api/orders?x={}",
        "y".repeat(8 * 1024 - "/api/orders".len() - 2)
    );

    app.api.get(&longest).await.assert_success(200);
    app.api
        .get(&format!("{longest}y"))
        .await
        .assert_error(414, "uri_too_long");
    let path = format!("/{}", "y".repeat(9000));
    app.api.get(&path).await.assert_error(414, "uri_too_long");
}

#[tokio::test]
async fn headers_over_32_kib_are_a_431() {
    let app = TestApp::start().await;
    let with = async |size: usize| {
        let mut call = app.api.call(Method::GET, "/api/orders");
        for part in 0..4 {
            call = call.header(&format!("x-part-{part}"), &"y".repeat(size / 4));
        }
        call.send().await
    };

    with(30_000).await.assert_success(200);
    with(33_000).await.assert_error(431, "headers_too_large");
}
