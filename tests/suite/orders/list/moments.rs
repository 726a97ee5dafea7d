//! `created_from` and `created_to`, and what else in a query is a moment.

use chrono::{DateTime, TimeDelta, Utc};
use order_service::domain::cursor::Position;
use order_service_tests::TestApp;
use order_service_tests::client::encode;
use uuid::Uuid;

use super::pagination;

/// Three orders of three neighbouring microseconds, newest first.
async fn neighbours(app: &TestApp) -> Vec<String> {
    let all = app.orders_of(&["u"; 3]).await;
    for (id, micros) in all.iter().rev().zip(1..) {
        let sql = format!(
            "update orders set created_at = timestamptz '2026-01-01 00:00:00Z'
                 + {micros} * interval '1 microsecond' where id = '{id}'"
        );
        app.database.db_execute(&sql).await;
    }
    all
}

#[tokio::test]
async fn from_is_inclusive_and_to_is_exclusive() {
    let app = TestApp::start().await;
    let all = neighbours(&app).await;
    let cases = [
        ("created_from=2026-01-01T00:00:00.000002Z", &all[..2]),
        ("created_to=2026-01-01T00:00:00.000002Z", &all[2..]),
        ("created_from=2026-01-01t00:00:00.000002z", &all[..2]),
        ("created_from=2026-01-01T01:30:00.000002%2B01:30", &all[..2]),
        ("created_to=2025-12-31T23:00:00.000002-01:00", &all[2..]),
        ("created_from=2026-01-01T00:00:00.000002-00:00", &all[..2]),
        // Between two microseconds.
        ("created_from=2026-01-01T00:00:00.0000021Z", &all[..1]),
        ("created_to=2026-01-01T00:00:00.0000021Z", &all[1..]),
        ("created_from=2026-01-01T00:00:00.000001999999Z", &all[..2]),
        ("created_to=2026-01-01T00:00:00.000001999999Z", &all[2..]),
        // A span of one order, of none, and one that is the wrong way round.
        (
            "created_from=2026-01-01T00:00:00.000002Z&created_to=2026-01-01T00:00:00.000003Z",
            &all[1..2],
        ),
        (
            "created_from=2026-01-01T00:00:00.000002Z&created_to=2026-01-01T00:00:00.000002Z",
            &[],
        ),
        (
            "created_from=2026-01-01T00:00:00.000003Z&created_to=2026-01-01T00:00:00.000001Z",
            &[],
        ),
    ];

    for (query, expected) in cases {
        for list in [
            app.api.order_list(query).await,
            app.api.user_orders("u", query).await,
        ] {
            assert_eq!(list.status, 200, "{query}: {}", list.text());
            assert_eq!(list.ids(), expected, "{query}");
            assert_eq!(pagination(&list, "total"), expected.len(), "{query}");
        }
    }
}

/// Whatever a moment is, the answer is a list or a refusal, and its link leads on.
#[tokio::test]
async fn odd_moments_do_no_harm() {
    let app = TestApp::start().await;
    app.orders_of(&["u"; 2]).await;
    let moments = [
        "0000-01-01T00:00:00Z",
        "0000-01-01T00:00:00%2B23:59",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.999999999Z",
        "2026-01-01T00:00:60Z",
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59-23:59",
    ];

    for moment in moments {
        for name in ["created_from", "created_to"] {
            let query = format!("page_size=1&{name}={moment}");
            let reply = app.api.order_list(&query).await;

            if reply.status == 200 {
                let has_link = reply.header("link").is_some();
                assert_eq!(has_link, !pagination(&reply, "next_cursor").is_null());
            } else {
                reply.assert_error(400, "invalid_parameter");
                assert_eq!(reply.problems(), [format!("/{name} invalid_timestamp")]);
            }
            if let Some(link) = reply.header("link") {
                let path = link.split(['<', '>']).nth(1).expect("a target");
                let next = app.api.get(path).await;
                assert_eq!(next.status, 200, "{path}: {}", next.text());
                assert_eq!(next.ids().len(), 1, "{path}");
            }
        }
    }
}

/// Anyone can compute the checksum of a cursor; it guards against mistakes, not against malice.
#[tokio::test]
async fn forged_cursors_do_no_harm() {
    let app = TestApp::start().await;
    app.orders_of(&["u"; 2]).await;
    let at = |year| format!("{year}-01-01T00:00:00Z").parse::<DateTime<Utc>>();
    let moments = [
        DateTime::<Utc>::MIN_UTC,
        DateTime::<Utc>::MIN_UTC + TimeDelta::microseconds(1),
        DateTime::<Utc>::MAX_UTC,
        at("-4713").expect("older than any of Postgres"),
        at("-0001").expect("before our time"),
        at("1969").expect("before 1970"),
        at("+10000").expect("after four digits"),
        at("+200000").expect("far away"),
    ];

    for created_at in moments {
        for id in [Uuid::nil(), Uuid::max()] {
            let cursor = Position { created_at, id }.encode("");
            let query = format!("cursor={}", encode(&cursor));
            let reply = app.api.order_list(&query).await;

            if reply.status == 200 {
                let is_after_all = created_at > Utc::now();
                assert_eq!(reply.ids().len(), 2 * usize::from(is_after_all));
            } else {
                assert_eq!(reply.status, 400, "{created_at}: {}", reply.text());
                reply.assert_error(400, "invalid_parameter");
                assert_eq!(reply.problems(), ["/cursor invalid_cursor"]);
            }
        }
    }
}
