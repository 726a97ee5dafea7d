//! Many clients change one order at the same time: each change happens once.

use futures_util::future::join_all;
use order_service_tests::{Reply, TestApp};

const CLIENTS: usize = 50;

/// A race may go well by luck.
const ROUNDS: usize = 3;

/// Lets each client do what `act` says for its number, all at once.
async fn race(act: impl AsyncFn(usize) -> Reply) -> Vec<Reply> {
    join_all((0..CLIENTS).map(|number| act(number))).await
}

/// Checks that every success shows a state in which the order really was.
async fn assert_truthful(app: &TestApp, id: &str, replies: &[Reply]) {
    let events = app.db_events(id).await;
    for reply in replies.iter().filter(|reply| reply.status == 200) {
        let order = reply.data();
        let version = usize::try_from(order["version"].as_u64().unwrap()).unwrap();
        assert_eq!(order["status"], events[version - 1].to, "{events:?}");
    }
    let last = app.api.order_get(id).await.success(200).data();
    assert_eq!(last["version"], events.len());
    assert_eq!(last["status"], events.last().unwrap().to);
}

#[tokio::test]
async fn of_50_that_confirm_one_does_and_all_are_content() {
    let app = TestApp::start().await;

    for _ in 0..ROUNDS {
        let id = app.an_order_id().await;

        let replies = race(async |_| app.api.order_set_status(&id, "confirmed").await).await;

        for reply in &replies {
            reply.assert_success(200);
            assert_eq!(reply.data(), replies[0].data());
        }
        assert_eq!(replies[0].data()["version"], 2);
        assert_eq!(app.db_events(&id).await.len(), 2, "one transition");
        assert_truthful(&app, &id, &replies).await;
    }
}

#[tokio::test]
async fn of_50_that_cancel_one_does_and_its_reason_is_kept() {
    let app = TestApp::start().await;

    for _ in 0..ROUNDS {
        let id = app.an_order_id().await;

        let because = async |number| {
            let reason = format!("reason {number}");
            app.api.order_cancel_because(&id, &reason).await
        };
        let replies = race(because).await;

        for reply in &replies {
            reply.assert_success(200);
            assert_eq!(reply.data(), replies[0].data());
        }
        let events = app.db_events(&id).await;
        assert_eq!(events.len(), 2, "one transition: {events:?}");
        assert!(
            events[1]
                .reason
                .as_ref()
                .is_some_and(|it| it.starts_with("reason "))
        );
        assert_truthful(&app, &id, &replies).await;
    }
}

/// A confirmed order may still be cancelled, so that the cancelling clients always win, with or
/// without a confirmation before.
#[tokio::test]
async fn confirming_against_cancelling_is_a_chain_of_allowed_changes() {
    let app = TestApp::start().await;

    for round in 0..2 * ROUNDS {
        let id = app.an_order_id().await;

        let replies = race(async |number| match (number + round) % 2 {
            0 => app.api.order_set_status(&id, "confirmed").await,
            _ => app.api.order_cancel(&id).await,
        })
        .await;

        let events = app.db_events(&id).await;
        let statuses: Vec<&str> = events.iter().map(|event| event.to.as_str()).collect();
        let direct = ["pending", "cancelled"];
        let confirmed_before = ["pending", "confirmed", "cancelled"];
        assert!(
            statuses == direct || statuses == confirmed_before,
            "{statuses:?}"
        );
        for (number, reply) in replies.iter().enumerate() {
            if (number + round) % 2 == 1 {
                assert_eq!(reply.data()["status"], "cancelled");
            } else if reply.status == 200 {
                assert_eq!(reply.data()["status"], "confirmed");
                assert_eq!(statuses, confirmed_before);
            } else {
                reply.assert_error(409, "invalid_status_transition");
            }
        }
        assert_truthful(&app, &id, &replies).await;
    }
}

/// Here the two exclude each other: what is shipped cannot be cancelled.
#[tokio::test]
async fn shipping_against_cancelling_has_one_winner() {
    let app = TestApp::start().await;

    for round in 0..2 * ROUNDS {
        let id = app.an_order_that_is("confirmed").await;

        let replies = race(async |number| match (number + round) % 2 {
            0 => app.api.order_set_status(&id, "shipped").await,
            _ => app.api.order_cancel(&id).await,
        })
        .await;

        let events = app.db_events(&id).await;
        assert_eq!(events.len(), 3, "one transition: {events:?}");
        let winner = events[2].to.as_str();
        for (number, reply) in replies.iter().enumerate() {
            let (wanted, refusal) = match (number + round) % 2 {
                0 => ("shipped", "invalid_status_transition"),
                _ => ("cancelled", "order_not_cancellable"),
            };
            if wanted == winner {
                reply.assert_success(200);
                assert_eq!(reply.data()["version"], 3);
            } else {
                reply.assert_error(409, refusal);
            }
        }
        assert_truthful(&app, &id, &replies).await;
    }
}

/// Readers fill the cache while writers change the order; what stays is the last version.
#[tokio::test]
async fn readers_in_between_leave_nothing_old_in_the_cache() {
    let app = TestApp::start().await;

    for _ in 0..2 * ROUNDS {
        let id = app.an_order_id().await;
        let key = app.redis_key(&format!("order:{id}"));
        let _removed: i64 = app.redis_command(redis::cmd("del").arg(&key)).await;

        race(async |number| match number {
            10 => app.api.order_set_status(&id, "confirmed").await,
            30 => app.api.order_set_status(&id, "shipped").await,
            _ => app.api.order_get(&id).await,
        })
        .await;

        let events = app.db_events(&id).await;
        for _ in 0..3 {
            let read = app.api.order_get(&id).await.success(200).data();
            assert_eq!(read["version"], events.len());
        }
    }
}

#[tokio::test]
async fn totals_are_exact_after_many_clients_have_created_and_changed_orders() {
    let app = TestApp::start().await;

    join_all((0..CLIENTS).map(async |number| {
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(app.an_order_id().await);
        }
        app.api.order_cancel(&ids[0]).await.assert_success(200);
        app.api
            .order_set_status(&ids[1], "confirmed")
            .await
            .assert_success(200);
        if number % 2 == 0 {
            app.api.order_cancel(&ids[1]).await.assert_success(200);
        }
    }))
    .await;

    let expected = [
        ("pending", 100),
        ("confirmed", 25),
        ("cancelled", 75),
        ("shipped", 0),
    ];
    for (status, expected) in expected {
        let query = format!("status={status}&page_size=1");
        let lists = [
            app.api.order_list(&query).await,
            app.api
                .order_list(&format!("{query}&user_id=user123"))
                .await,
            app.api.user_orders("user123", &query).await,
            app.api
                .order_list(&format!("{query}&created_from=2020-01-01T00:00:00Z"))
                .await,
        ];
        for list in lists {
            let total = &list.success(200).json()["pagination"]["total"];
            assert_eq!(total, expected, "{status}");
        }
        let sql = format!("select count(*) from orders where status = '{status}'");
        assert_eq!(app.database.db_count(&sql).await, expected);
    }
    assert_eq!(
        app.api.order_list("").await.json()["pagination"]["total"],
        200
    );
}

#[tokio::test]
async fn a_change_shows_nothing_that_another_one_hides() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    let key = app.redis_key(&format!("order:{id}"));
    let entry: String = app.redis_command(redis::cmd("get").arg(&key)).await;
    // A change whose host has died before its statement arrived.
    let hidden = format!("!another-change {entry}");
    let hide = redis::cmd("set")
        .arg(&key)
        .arg(hidden)
        .arg("px")
        .arg(10_000)
        .to_owned();
    let _set: String = app.redis_command(&hide).await;

    app.api
        .order_set_status(&id, "confirmed")
        .await
        .assert_success(200);
    app.database
        .db_execute(&format!(
            "select * from order_change_status('{id}', 'cancelled', array['confirmed'], null, null)"
        ))
        .await;

    let order = app.api.order_get(&id).await.success(200).data();
    assert_eq!(
        (&order["status"], &order["version"]),
        (&"cancelled".into(), &3.into())
    );
}
