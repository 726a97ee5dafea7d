//! `wait`: an answer that would be empty is held back.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use order_service_tests::feed::Follower;

#[tokio::test]
async fn a_waiting_reader_has_an_event_soon_after_its_commit() {
    let app = TestApp::start().await;
    app.an_order_id().await;
    let mut follower = Follower::default();
    follower.read_until(&app.api, 1).await;

    let mut delays = Vec::new();
    for round in 0..5 {
        let create = async {
            tokio::time::sleep(Duration::from_millis(700 + 130 * round)).await;
            let created = app.api.order_create(&order_of(&["p1"])).await;
            created.assert_success(201);
            Instant::now()
        };
        let read = async {
            while follower.read(&app.api, "wait=20").await == 0 {}
            Instant::now()
        };
        let (committed_at, read_at) = join(create, read).await;
        delays.push(read_at.saturating_duration_since(committed_at));
    }

    delays.sort();
    // The median, since the machine that runs the tests may be busy with others of them.
    assert!(delays[2] < Duration::from_millis(1200), "{delays:?}");
}

#[tokio::test]
async fn without_redis_it_is_postgres_that_is_looked_at() {
    let app = TestApp::start().await;
    app.redis.refuse().await;
    let mut follower = Follower::default();

    let create = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        app.an_order_id().await
    };
    let (id, events) = join(create, follower.read(&app.api, "wait=20")).await;

    assert_eq!(events, 1);
    assert_eq!(follower.changes(), [(id, 1)]);
}

#[tokio::test]
async fn the_wait_ends_when_its_time_is_up() {
    let app = TestApp::builder()
        .request_timeout(Duration::from_secs(1))
        .start()
        .await;

    for wait_s in [0, 1, 3] {
        let reply = app.api.events(&format!("wait={wait_s}")).await.success(200);
        let least = Duration::from_secs(wait_s);
        assert!(
            (least..least + Duration::from_secs(2)).contains(&reply.elapsed),
            "{reply:?}"
        );
        assert_eq!(reply.data(), serde_json::json!([]));
    }
}

#[tokio::test]
async fn who_waits_hears_of_a_change_that_was_held_back() {
    let app = TestApp::start().await;
    let open = order_service_tests::database::Database::connect_to(&app.database.name).await;
    open.batch_execute("begin; select pg_current_xact_id()")
        .await
        .unwrap();
    app.an_order_id().await;
    let mut follower = Follower::default();

    let commit = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        open.batch_execute("commit").await.unwrap();
        Instant::now()
    };
    let read = async {
        let count = follower.read(&app.api, "wait=20").await;
        (count, Instant::now())
    };
    let (committed_at, (count, read_at)) = join(commit, read).await;

    assert_eq!(count, 1);
    let delay = read_at.saturating_duration_since(committed_at);
    assert!(delay < Duration::from_secs(5), "{delay:?}");
}

#[tokio::test]
async fn those_who_listen_to_redis_hear_that_there_is_something_new() {
    let app = TestApp::start().await;
    let url = order_service_tests::environment::redis_url();
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut listener = client.get_async_pubsub().await.unwrap();
    listener
        .subscribe(app.redis_key("orders.events"))
        .await
        .unwrap();

    app.an_order_id().await;

    let message = tokio::time::timeout(Duration::from_secs(5), async {
        futures_util::StreamExt::next(&mut listener.on_message()).await
    });
    let message: i64 = message.await.unwrap().unwrap().get_payload().unwrap();
    assert_eq!(message, 1);
}

#[tokio::test]
async fn a_hundred_who_wait_for_a_quiet_feed_cost_little_and_delay_nobody() {
    let app = TestApp::builder().as_process().start().await;
    let id = app.an_order_id().await;
    let mut follower = Follower::default();
    follower.read_until(&app.api, 1).await;
    app.until_cached(&id).await;
    let query = format!("wait=8&after={}", follower.cursor.unwrap());
    let Some(process) = app.host.process() else {
        return;
    };

    let measure = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (cpu, begun) = (process.cpu_time(), Instant::now());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let share = (process.cpu_time() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        let read = app.api.order_get(&id).await.success(200);
        (share, read.elapsed)
    };
    let waiting = join_all((0..100).map(|_| app.api.events(&query)));
    let (replies, (share, elapsed)) = join(waiting, measure).await;

    for reply in replies {
        reply.assert_success(200);
    }
    println!("100 who wait cost {:.1} % of a core", share * 100.0);
    assert!(share < 0.10, "{share}");
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
}
