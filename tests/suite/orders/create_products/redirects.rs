//! A product service that redirects.

use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use sample_products::{Reply, ScriptedProducts};

#[tokio::test]
async fn a_redirect_to_the_path_with_a_slash_is_followed() {
    let app = TestApp::builder()
        .variable("product_path", "/api/products/{id}")
        .start()
        .await;
    app.products.set_price("a b", "2.00");
    let absolute = format!("{}/api/products/p1/", app.products.url());
    let redirects = [
        ("p1", 301, "/api/products/p1/"),
        ("p1", 302, "/api/products/p1/"),
        ("p1", 307, "/api/products/p1/"),
        ("p1", 308, "/api/products/p1/"),
        ("p1", 301, absolute.as_str()),
        ("a b", 308, "/api/products/a%20b/"),
    ];

    for (id, status, location) in redirects {
        let path = format!("/api/products/{}", order_service_tests::client::encode(id));
        app.products
            .set_path(&path, Reply::redirect(status, location));
        let reply = app.api.order_create(&order_of(&[id])).await;

        assert_eq!(
            reply.status,
            201,
            "{status} to {location}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed() {
    let app = TestApp::start().await;
    let other = ScriptedProducts::start().await.unwrap();
    other.set_price("p1", "0.01");
    let port = other.address().port();
    let locations = [
        format!("http://127.0.0.1:{port}/api/products/p1/"),
        format!("//127.0.0.1:{port}/api/products/p1/"),
        format!(
            "http://{}@127.0.0.1:{port}/api/products/p1/",
            app.products.address()
        ),
        format!("https://{}/api/products/p1/", app.products.address()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "\\\\127.0.0.1\\share".to_owned(),
        String::new(),
    ];

    for (number, location) in locations.iter().enumerate() {
        let id = format!("moved-{number}");
        app.products.set(&id, Reply::redirect(302, location));
        let reply = app.api.order_create(&order_of(&[&id])).await;

        assert_eq!(reply.status, 502, "{location}: {}", reply.text());
        reply.assert_error(502, "invalid_product_reply");
    }
    assert!(other.log().is_empty(), "{:?}", other.log().raw_paths());
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn only_one_redirect_is_followed() {
    let app = TestApp::start().await;
    app.products
        .set("circle", Reply::redirect(302, "/api/products/circle/"));
    app.products.set("far", Reply::redirect(302, "/first"));
    app.products
        .set_path("/first", Reply::redirect(302, "/second"));
    app.products.set_path("/second", Reply::priced("1.00"));

    for id in ["circle", "far"] {
        let reply = app.api.order_create(&order_of(&[id])).await;

        reply.assert_error(502, "invalid_product_reply");
    }
    assert!(
        !app.products
            .log()
            .raw_paths()
            .contains(&"/second".to_owned())
    );
    assert_eq!(app.products.log().requests_for("circle").len(), 2);
    app.db_assert_nothing_stored().await;
}
