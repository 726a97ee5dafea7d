//! `GET /openapi.json` and `GET /docs`.

use miniz_oxide::inflate::decompress_to_vec;
use order_service_tests::TestApp;
use reqwest::Method;

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
        "/docs/%FF",
    ] {
        app.api.get(path).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn a_client_that_has_a_file_does_not_get_it_again() {
    let app = TestApp::start().await;

    for path in ["/openapi.json", "/docs", "/docs/swagger-ui.css"] {
        let tag = app.api.get(path).await.header("etag").unwrap().to_owned();
        let again = app.api.call(Method::GET, path);
        let reply = again.header("if-none-match", &tag).send().await;

        assert_eq!((reply.status, reply.text().as_str()), (304, ""), "{path}");
        assert_eq!(reply.header("etag"), Some(tag.as_str()), "{path}");
    }
}

/// All that is kept compressed.
const COMPRESSED: [&str; 6] = [
    "/openapi.json",
    "/docs",
    "/docs/favicon-32x32.png",
    "/docs/init.js",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
];

#[tokio::test]
async fn who_takes_gzip_gets_it_and_others_get_the_same_content_plain() {
    let app = TestApp::start().await;

    for path in COMPRESSED {
        let plain = app.api.get(path).await;
        let call = app.api.call(Method::GET, path);
        let refused = call.header("accept-encoding", "gzip;q=0, br").send().await;
        let call = app.api.call(Method::GET, path);
        let gzip = call.header("accept-encoding", "br, gzip").send().await;

        assert_eq!((plain.status, refused.status, gzip.status), (200, 200, 200));
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        assert!(plain.body == refused.body, "{path}");
        assert_eq!(gzip.header("content-encoding"), Some("gzip"), "{path}");
        // Ten bytes before the compressed content, eight after it.
        let compressed = &gzip.body[10..gzip.body.len() - 8];
        let content = decompress_to_vec(compressed).expect("compressed content");
        assert!(content == plain.body, "{path}");
        assert_ne!(plain.header("etag"), gzip.header("etag"), "{path}");
        for reply in [&plain, &gzip] {
            assert_eq!(reply.header("vary"), Some("accept-encoding"), "{path}");
            assert_eq!(reply.header("content-type"), plain.header("content-type"));
        }
    }
}

#[tokio::test]
async fn the_files_are_those_of_the_repository() {
    let app = TestApp::start().await;
    let folder = order_service_tests::environment::repository().join("assets/docs");

    for (name, _) in FILES {
        let reply = app.api.get(&format!("/docs/{name}")).await;

        assert!(
            reply.body == std::fs::read(folder.join(name)).unwrap(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_tag_is_that_of_the_coding() {
    let app = TestApp::start().await;
    let plain = app.api.get("/openapi.json").await;
    let tag = plain.header("etag").unwrap();

    for (coding, tag, status) in [
        ("identity", tag.to_owned(), 304),
        ("gzip", tag.to_owned(), 200),
        ("gzip", format!("{}-gzip\"", tag.trim_end_matches('"')), 304),
    ] {
        let call = app.api.call(Method::GET, "/openapi.json");
        let call = call
            .header("accept-encoding", coding)
            .header("if-none-match", &tag);
        let reply = call.send().await;

        assert_eq!(reply.status, status, "{coding} {tag}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
    }
}

#[tokio::test]
async fn head_tells_the_length_in_either_coding() {
    let app = TestApp::start().await;

    for coding in ["identity", "gzip"] {
        let call = |method| {
            app.api
                .call(method, "/docs/swagger-ui.css")
                .header("accept-encoding", coding)
        };
        let get = call(Method::GET).send().await;
        let head = call(Method::HEAD).send().await;

        assert_eq!((head.status, head.body.len()), (200, 0), "{coding}");
        let length = get.body.len().to_string();
        assert_eq!(
            head.header("content-length"),
            Some(length.as_str()),
            "{coding}"
        );
        assert_eq!(head.header("etag"), get.header("etag"), "{coding}");
    }
}
