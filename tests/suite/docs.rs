//! `GET /openapi.json` and `GET /docs`.

use order_service_tests::TestApp;

/// The files that the page asks for, with their types.
const FILES: [(&str, &str); 4] = [
    ("favicon-32x32.png", "image/png"),
    ("init.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
];

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let app = TestApp::start().await;

    let reply = app.api.get("/openapi.json").await;

    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(
        reply.text() == include_str!("../../openapi.json"),
        "the component was built from another openapi.json"
    );
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere() {
    let app = TestApp::start().await;

    let reply = app.api.get("/docs").await;

    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for laxity in ["unsafe", "http", "*"] {
        assert!(!policy.contains(laxity), "{policy}");
    }
}

#[tokio::test]
async fn the_files_of_the_page_have_their_types() {
    let app = TestApp::start().await;

    for (name, content_type) in FILES {
        let reply = app.api.get(&format!("/docs/{name}")).await;

        assert_eq!(reply.status, 200, "{name}");
        assert_eq!(reply.header("content-type"), Some(content_type), "{name}");
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn other_files_are_not_served() {
    let app = TestApp::start().await;

    for path in [
        "/docs/",
        "/docs/index.html",
        "/docs/SHA256SUMS",
        "/docs/%2E%2E%2Fdocs%2Finit.js",
        "/docs/init.js%00",
    ] {
        app.api.get(path).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn a_client_that_has_a_file_does_not_get_it_again() {
    let app = TestApp::start().await;

    for path in ["/openapi.json", "/docs", "/docs/swagger-ui.css"] {
        let tag = app.api.get(path).await.header("etag").unwrap().to_owned();
        let again = app.api.call(reqwest::Method::GET, path);
        let reply = again.header("if-none-match", &tag).send().await;

        assert_eq!((reply.status, reply.text().as_str()), (304, ""), "{path}");
        assert_eq!(reply.header("etag"), Some(tag.as_str()), "{path}");
    }
}
