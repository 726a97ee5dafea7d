//! An order of somebody else takes the way of one that does not exist, and so its time.

use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use order_service_tests::tokens::Signer;
use uuid::Uuid;

use super::{client, staff, trusting, user};

/// What a call asks of Postgres and of Redis, without the ids in it.
async fn way(app: &TestApp, call: impl AsyncFn(), id: &str) -> (Vec<String>, Vec<String>) {
    // What was on its way into the cache or the counters is not this call's.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    app.postgres.forget();
    app.redis.forget();
    call().await;
    let plain = |seen: Vec<String>| {
        let seen = seen
            .into_iter()
            .filter(|it| !it.to_lowercase().starts_with("eval"));
        seen.map(|it| it.replace(id, "<id>")).collect()
    };
    (plain(app.postgres.seen()), plain(app.redis.seen()))
}

#[tokio::test]
async fn nobody_learns_from_the_way_of_an_answer_that_an_order_exists() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer).start().await;
    let clerk = client(&app, &signer, &staff("orders:read orders:write"));
    let other = client(&app, &signer, &user("somebody-else"));
    let nothing = Uuid::new_v4().to_string();
    let mut ids = Vec::new();
    for is_cached in [false, true] {
        let order = clerk.order_create(&order_of(&["p1"])).await.success(201);
        let id = order.data()["id"].as_str().unwrap().to_owned();
        if is_cached {
            app.until_cached_by(&clerk, &id).await;
        }
        ids.push(id);
    }

    for call in ["get", "cancel", "status"] {
        let ask = async |id: &str| {
            let reply = match call {
                "get" => other.order_get(id).await,
                "cancel" => other.order_cancel(id).await,
                _ => other.order_set_status(id, "confirmed").await,
            };
            reply.assert_error(404, "order_not_found");
        };
        let of_nothing = way(&app, async || ask(&nothing).await, &nothing).await;
        assert!(!of_nothing.0.is_empty(), "{call} asks the database");
        for id in &ids {
            let of_an_order = way(&app, async || ask(id).await, id).await;
            assert_eq!(of_an_order, of_nothing, "{call}");
        }
    }
}
