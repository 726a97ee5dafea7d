//! Connections that an instance opens: one for all requests that need it at the same time.

use std::time::Duration;

use futures_util::future::join_all;
use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use order_service_tests::link::Link;
use order_service_tests::wait::until;
use tokio::time::sleep;
use uuid::Uuid;

const REQUESTS: u32 = 8;
/// Far enough apart for each request to wait for something before the next one comes, so that one
/// instance gets them all.
const APART: Duration = Duration::from_millis(25);

#[tokio::test]
async fn requests_that_need_postgres_wait_for_one_connection() {
    let app = TestApp::start().await;
    app.postgres.forget();

    app.postgres.hang().await;
    let body = order_of(&["p1"]);
    let creations = (0..REQUESTS).map(async |number| {
        sleep(APART * number).await;
        app.api.order_create(&body).await
    });
    let restoring = async {
        sleep(APART * (REQUESTS + 4)).await;
        let opened = app.postgres.connections();
        app.postgres.restore().await;
        opened
    };
    let (replies, opened) = tokio::join!(join_all(creations), restoring);

    for reply in replies {
        reply.assert_success(201);
    }
    // Another instance may have helped.
    assert!((1..=4).contains(&opened), "{opened} connections");
}

#[tokio::test]
async fn a_request_that_asks_redis_twice_at_once_opens_one_connection() {
    let app = TestApp::start().await;
    app.redis.forget();

    // It looks for the order, and asks whether the log has been warned that there are no tokens.
    let reply = app.api.order_get(&Uuid::new_v4().to_string()).await;

    reply.assert_error(404, "order_not_found");
    let seen = app.redis.seen();
    assert!(seen.iter().any(|it| it.contains("warned:")), "{seen:?}");
    assert_eq!(app.redis.connections(), 1);
}

/// An order that nobody can read until the transaction of the test's own connection ends.
async fn with_orders_locked() -> (TestApp, String) {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.database.db_execute("begin; lock table orders").await;
    (app, id)
}

#[tokio::test]
async fn statements_that_lose_their_connections_wait_for_new_ones_together() {
    let (app, id) = with_orders_locked().await;

    // None makes progress, so an instance takes all that it may have, which the others share.
    let reads = (0..REQUESTS).map(async |number| {
        sleep(APART * number).await;
        app.api.order_get(&id).await
    });
    let losing = async {
        sleep(APART * (REQUESTS + 4)).await;
        app.postgres.forget();
        app.postgres.cut();
        sleep(APART * 4).await;
        app.database.db_execute("commit").await;
    };
    let (replies, ()) = tokio::join!(join_all(reads), losing);

    for reply in replies {
        reply.assert_success(200);
    }
    let opened = app.postgres.connections();
    assert!((1..=5).contains(&opened), "{opened} connections");
}

/// Connections that the host lends to all instances together.
const LENT_MAX: u32 = 64;

#[tokio::test]
async fn connections_that_are_lost_while_all_are_lent_make_room_for_new_ones() {
    let (app, id) = with_orders_locked().await;

    // Those that come to an instance together would share its connection.
    let reads = (0..6 * LENT_MAX).map(async |number| {
        sleep(APART / 5 * number).await;
        app.api.order_get(&id).await
    });
    let losing = async {
        until("all connections are lent", async || {
            app.postgres.connections() >= LENT_MAX as usize
        })
        .await;
        // Those that were accepted last have still to log in.
        sleep(APART * 8).await;
        app.postgres.cut();
        app.database.db_execute("commit").await;
    };
    let (replies, ()) = tokio::join!(join_all(reads), losing);

    for reply in replies {
        reply.assert_success(200);
    }
}

async fn one_is_opened(link: &Link) {
    until("a connection is opened", async || link.connections() > 0).await;
}

#[tokio::test]
async fn a_postgres_that_has_vanished_keeps_nobody_from_the_new_one() {
    let app = TestApp::start().await;
    app.postgres.forget();

    app.postgres.vanish().await;
    let unknown = Uuid::new_v4().to_string();
    let in_vain = app.api.order_get(&unknown);
    let probe = async {
        one_is_opened(&app.postgres).await;
        app.postgres.restore().await;
        app.api.ready().await
    };
    let (reply, ready) = tokio::join!(in_vain, probe);

    assert!(reply.status >= 500, "{}", reply.text());
    ready.assert_success(200);
}

#[tokio::test]
async fn a_redis_that_has_vanished_ends_no_connection_to_the_new_one() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    // No instance has a connection any more.
    sleep(Duration::from_millis(1500)).await;
    app.redis.forget();

    app.redis.vanish().await;
    let in_vain = app.api.order_get(&id);
    let others = async {
        one_is_opened(&app.redis).await;
        app.redis.restore().await;
        for _ in 0..10 {
            app.api.order_get(&id).await.assert_success(200);
            sleep(2 * APART).await;
        }
    };
    let (reply, ()) = tokio::join!(in_vain, others);

    reply.assert_success(200);
    let opened = app.redis.connections();
    assert!((1..=3).contains(&opened), "{opened} connections");
    app.postgres.forget();
    app.api.order_get(&id).await.assert_success(200);
    assert_eq!(app.postgres.seen(), Vec::<String>::new());
}
