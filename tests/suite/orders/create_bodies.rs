//! `POST /api/orders`: bodies that must be refused, each with the envelope, nothing stored, nobody
//! asked for a price, and the service alive afterwards.

mod cases;

use order_service_tests::bodies::order_of;
use order_service_tests::{Reply, TestApp};
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use cases::Case;

async fn send(app: &TestApp, content_type: Option<&str>, body: &[u8]) -> Reply {
    let call = app.api.call(Method::POST, "/api/orders");
    let call = content_type
        .iter()
        .fold(call, |call, it| call.header("content-type", it));
    call.body(body).send().await
}

async fn assert_refused(cases: Vec<Case>) {
    let app = TestApp::start().await;
    let mut failures = Vec::new();

    for case in &cases {
        let reply = send(&app, Some("application/json"), &case.body).await;

        let answered = (reply.status, reply.code(), reply.problems());
        let expected = (case.status, case.code.to_owned(), case.problems.clone());
        if answered == expected {
            reply.assert_error(case.status, case.code);
        } else {
            failures.push(format!(
                "{}:\n  {answered:?} instead of\n  {expected:?}",
                case.name
            ));
        }
    }

    let count = cases.len();
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_untouched(&app).await;
}

/// Nothing was stored, nobody was asked, and the next order is created as ever.
async fn assert_untouched(app: &TestApp) {
    app.db_assert_nothing_stored().await;
    assert_eq!(app.products.log().raw_paths(), [""; 0]);
    assert_eq!(app.postgres.seen(), [""; 0]);
    app.api
        .order_create(&order_of(&["p1"]))
        .await
        .assert_success(201);
}

#[tokio::test]
async fn fields_that_are_missing_wrong_or_out_of_bounds_are_named() {
    let cases = [
        cases::user(),
        cases::addresses_and_notes(),
        cases::lines(),
        cases::quantities(),
    ];
    let cases = cases.concat();
    assert!(cases.len() >= 60, "{}", cases.len());

    assert_refused(cases).await;
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused() {
    assert_refused(cases::not_json()).await;
}

#[tokio::test]
async fn all_problems_are_reported_at_once_in_document_order() {
    assert_refused(cases::several_problems()).await;
}

#[tokio::test]
async fn deep_nesting_is_refused_wherever_it_is() {
    let app = TestApp::start().await;
    let valid = order_of(&["p1"]).to_string();

    for deep in [
        format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000)),
        r#"{"a":"#.repeat(10_000),
    ] {
        for body in [
            deep.clone(),
            valid.replace("\"user123\"", &deep),
            valid.replace("[{", &deep),
            valid.replacen('{', &format!(r#"{{"unknown":{deep},"#), 1),
        ] {
            let reply = send(&app, Some("application/json"), body.as_bytes()).await;

            assert_eq!(reply.status, 400, "{}", reply.text());
            reply.assert_error(400, &reply.code());
        }
    }
    assert_untouched(&app).await;
}

#[tokio::test]
async fn more_than_64_kib_are_too_much() {
    let app = TestApp::start().await;
    let valid = order_of(&["p1"]).to_string();

    for size in [64 * 1024 + 1, 256 * 1024, 1024 * 1024] {
        let body = format!("{valid}{}", " ".repeat(size - valid.len()));
        let reply = send(&app, Some("application/json"), body.as_bytes()).await;

        assert_eq!(reply.status, 413, "{size}: {}", reply.text());
        reply.assert_error(413, "payload_too_large");
    }
    assert_untouched(&app).await;
}

#[tokio::test]
async fn more_than_64_kib_are_too_much_without_a_content_length_too() {
    let app = TestApp::start().await;

    let call = app.api.call(Method::POST, "/api/orders");
    let call = call.header("content-type", "application/json");
    let reply = call.chunks(vec![vec![b' '; 16 * 1024]; 64]).send().await;

    reply.assert_error(413, "payload_too_large");
    assert_untouched(&app).await;
}

#[tokio::test]
async fn chunks_count_and_not_the_length_that_is_announced_beside_them() {
    let app = TestApp::start().await;
    let body = order_of(&["p1"]).to_string();
    let host = app.host.url().strip_prefix("http://").unwrap();
    let request = format!(
        "POST /api/orders HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );

    let mut connection = TcpStream::connect(host).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();

    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(app.db_order_count().await, 1);
}

#[tokio::test]
async fn what_is_not_called_json_is_refused() {
    let app = TestApp::start().await;
    let types = [
        None,
        Some(""),
        Some("text/plain"),
        Some("text/json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/xml"),
        Some("application/jsonx"),
        Some("application/json+xml"),
        Some("application/json; charset=iso-8859-1"),
        Some("application/json; charset=utf-16"),
        Some("json"),
        Some("*/*"),
    ];

    for content_type in types {
        let body = order_of(&["p1"]).to_string();
        let reply = send(&app, content_type, body.as_bytes()).await;

        assert_eq!(reply.status, 415, "{content_type:?}: {}", reply.text());
        reply.assert_error(415, "unsupported_media_type");
    }
    assert_untouched(&app).await;
}

#[tokio::test]
async fn no_body_at_all_is_refused() {
    let app = TestApp::start().await;

    let without_type = app.api.call(Method::POST, "/api/orders").send().await;
    let with_type = app.api.call(Method::POST, "/api/orders");
    let with_type = with_type
        .header("content-type", "application/json")
        .send()
        .await;

    without_type.assert_error(400, "invalid_json");
    with_type.assert_error(400, "invalid_json");
    assert_untouched(&app).await;
}
