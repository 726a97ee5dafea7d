//! `GET /api/orders/{id}/history`

use order_service_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn every_change_is_told_oldest_first() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();
    app.api
        .order_set_status(id, "confirmed")
        .await
        .assert_success(200);
    app.api
        .order_set_status(id, "confirmed")
        .await
        .assert_success(200);
    let reason = "\"twice\"\n\\ \u{1F600}";
    let last = app
        .api
        .order_cancel_because(id, reason)
        .await
        .success(200)
        .data();

    let history = app.api.order_history(id).await.success(200);

    let changes = history.data();
    let at = |number: usize| changes[number]["at"].clone();
    assert_eq!(
        changes,
        json!([
            {"sequence": 1, "from": null, "to": "pending", "reason": null, "at": at(0)},
            {"sequence": 2, "from": "pending", "to": "confirmed", "reason": null, "at": at(1)},
            {"sequence": 3, "from": "confirmed", "to": "cancelled", "reason": reason, "at": at(2)},
        ])
    );
    assert_eq!(at(0), order["created_at"]);
    assert_eq!(at(2), last["updated_at"]);
    assert_eq!(history.header("cache-control"), Some("private, no-store"));
}

#[tokio::test]
async fn an_order_that_is_not_there_has_no_history() {
    let app = TestApp::start().await;

    let unknown = app
        .api
        .order_history("0190b6a0-0000-7000-8000-000000000001")
        .await;
    let malformed = app.api.order_history("7").await;

    unknown.assert_error(404, "order_not_found");
    malformed.assert_error(400, "invalid_order_id");
}
