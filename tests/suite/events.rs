//! `GET /api/events`: the change feed.

mod exact;
mod trim;
mod wait;

use order_service_tests::TestApp;
use order_service_tests::bodies::{line, order_with_lines};
use order_service_tests::feed::Follower;
use serde_json::json;

#[tokio::test]
async fn an_event_is_a_change_with_the_order_as_it_was_then() {
    let app = TestApp::start().await;
    let created = app.an_order().await;
    let id = created["id"].as_str().unwrap();
    let confirmed = app
        .api
        .order_set_status(id, "confirmed")
        .await
        .success(200)
        .data();
    let cancelled = app.api.order_cancel(id).await.success(200).data();

    let mut follower = Follower::default();
    follower.read_until(&app.api, 3).await;

    let event = |sequence: u64, r#type: &str, from: Option<&str>, order: &serde_json::Value| {
        json!({
            "id": format!("{id}:{sequence}"), "order_id": id, "sequence": sequence, "type": r#type,
            "from": from, "to": order["status"], "at": order["updated_at"], "order": order,
        })
    };
    let changed = "order.status_changed";
    assert_eq!(
        json!(follower.events),
        json!([
            event(1, "order.created", None, &created),
            event(2, changed, Some("pending"), &confirmed),
            event(3, changed, Some("confirmed"), &cancelled),
        ])
    );
}

#[tokio::test]
async fn a_cursor_is_always_there_and_goes_on_from_any_point() {
    let app = TestApp::start().await;
    let mut all = Follower::default();
    assert_eq!(
        all.read(&app.api, "").await,
        0,
        "an empty feed has a cursor too"
    );
    for _ in 0..5 {
        app.an_order_id().await;
    }
    all.read_until(&app.api, 5).await;

    for limit in [1, 2, 5, 500] {
        let mut pages = Follower::default();
        while pages.read(&app.api, &format!("limit={limit}")).await > 0 {}
        assert_eq!(pages.events, all.events, "{limit} at a time");
        let end = pages.cursor.clone();
        assert_eq!(pages.read(&app.api, "").await, 0);
        assert_eq!(pages.cursor, end, "nothing new, no new place");
    }
    let page = app.api.events("").await;
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
}

#[tokio::test]
async fn malformed_queries_are_refused() {
    let app = TestApp::start().await;
    app.an_order_id().await;
    let list = app.api.order_list("page_size=1").await;
    app.an_order_id().await;
    let list_cursor = app.api.order_list("page_size=1").await.success(200).json();
    let list_cursor = list_cursor["pagination"]["next_cursor"].as_str().unwrap();
    list.assert_success(200);

    for (query, problem) in [
        ("limit=0", "/limit out_of_range"),
        ("limit=501", "/limit out_of_range"),
        ("limit=x", "/limit out_of_range"),
        ("wait=21", "/wait out_of_range"),
        ("wait=-1", "/wait out_of_range"),
        ("wait=1.5", "/wait out_of_range"),
        ("after=", "/after invalid_cursor"),
        ("after=abc", "/after invalid_cursor"),
        (&format!("after={list_cursor}"), "/after invalid_cursor"),
        ("after=a&after=b", "/after repeated"),
    ] {
        let reply = app.api.events(query).await;
        reply.assert_error(400, "invalid_parameter");
        assert_eq!(reply.problems(), [problem], "{query}");
    }
}

#[tokio::test]
async fn old_events_leave_the_feed_but_not_the_history() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(app.an_order_id().await);
    }
    let mut follower = Follower::default();
    follower.read(&app.api, "limit=1").await;
    let behind_the_first = follower.cursor.clone().unwrap();
    follower.read_until(&app.api, 4).await;
    let old = "update order_events set created_at = now() - interval '100 days'
               where order_id in ((select order_id from order_events order by number limit 3))";
    app.database.db_execute(old).await;

    app.database
        .db_execute("call order_feed_trim('90 days', 2)")
        .await;

    let mut newcomer = Follower::default();
    newcomer.read_until(&app.api, 1).await;
    assert_eq!(newcomer.events, follower.events[3..]);
    let expired = app.api.events(&format!("after={behind_the_first}")).await;
    expired.assert_error(410, "cursor_expired");
    let left = follower.cursor.clone().unwrap();
    app.api
        .events(&format!("after={left}"))
        .await
        .assert_success(200);
    let history = app.api.order_history(&ids[0]).await.success(200);
    assert_eq!(history.data().as_array().unwrap().len(), 1);
    // The changes of an order that has left come in their order all the same.
    app.api.order_cancel(&ids[0]).await.assert_success(200);
    newcomer.read_until(&app.api, 2).await;
    assert_eq!(newcomer.changes()[1], (ids[0].clone(), 2));
}

#[tokio::test]
async fn a_page_of_large_orders_is_shorter_than_its_limit() {
    let app = TestApp::start().await;
    for n in 1..=100 {
        app.products.set_price(&format!("p{n}"), "1.00");
    }
    let text = "\u{1f4e6}".repeat(500);
    let mut body = order_with_lines((1..=100).map(|n| line(&format!("p{n}"), 1)).collect());
    body["shipping_address"] = text.clone().into();
    body["notes"] = text.into();
    let order = app.api.order_create(&body).await.success(201).data();
    // Copies of its event, as many as 100 further orders would make.
    let id = order["id"].as_str().unwrap();
    app.database
        .db_execute(&format!(
            "insert into order_events (order_id, sequence, from_status, to_status)
             select '{id}', n, 'pending', 'pending' from generate_series(2, 101) as n"
        ))
        .await;

    // Also when the body has been forgotten, and is made for the page.
    for change in ["set version = version", "set body = null"] {
        let change = format!("update orders {change}");
        app.database.db_execute(&change).await;
        read_large_pages(&app).await;
    }
}

async fn read_large_pages(app: &TestApp) {
    let mut follower = Follower::default();
    let mut pages = Vec::new();
    while follower.events.len() < 101 {
        let before = follower.events.len();
        let page = follower.read(&app.api, "limit=500").await;
        let events = &follower.events[before..];
        pages.push((page, serde_json::to_string(events).unwrap().len()));
    }

    assert!(
        pages.len() > 1 && pages.iter().all(|(_, bytes)| *bytes < 2 << 20),
        "{pages:?}"
    );
    follower.assert_exact();
}
