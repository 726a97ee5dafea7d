//! Old events leave the feed while others work on it.

use futures_util::future::{join, join3};
use order_service_tests::TestApp;
use order_service_tests::database::Database;
use order_service_tests::feed::Follower;

#[tokio::test]
async fn two_runs_at_once_keep_the_mark_of_the_one_that_took_more() {
    let app = TestApp::start().await;
    for _ in 0..6 {
        app.an_order_id().await;
    }
    let mut follower = Follower::default();
    follower.read(&app.api, "limit=3&wait=5").await;
    let in_the_middle = follower.cursor.clone().unwrap();
    follower.read_until(&app.api, 6).await;
    let old = "update order_events set created_at = now() - case
                   when number <= (select min(number) + 1 from order_events) then interval '100 days'
                   else interval '40 days' end";
    app.database.db_execute(old).await;
    let [holder, one, other] = connections(&app).await;
    let hold = "begin; select from order_feed for update";
    holder.batch_execute(hold).await.unwrap();

    let more = one.batch_execute("call order_feed_trim('30 days')");
    let fewer = async {
        app.database.db_until_waiting(1).await;
        let trim = other.batch_execute("call order_feed_trim('90 days')");
        let release = async {
            app.database.db_until_waiting(2).await;
            holder.batch_execute("commit").await
        };
        let (trimmed, released) = join(trim, release).await;
        trimmed.and(released)
    };
    let (more, fewer) = join(more, fewer).await;

    more.and(fewer).unwrap();
    let expired = app.api.events(&format!("after={in_the_middle}")).await;
    expired.assert_error(410, "cursor_expired");
}

#[tokio::test]
async fn an_erasure_and_a_run_do_not_wait_for_each_other() {
    let app = TestApp::start().await;
    let (first, second) = (app.an_order_id().await, app.an_order_id().await);
    // The erasure goes by the orders, as it does in a large table, and the run by the changes.
    for id in [&second, &first] {
        let because = app.api.order_cancel_because(id, "a reason");
        because.await.assert_success(200);
    }
    Follower::default().read_until(&app.api, 4).await;
    let [holder, one, other] = connections(&app).await;
    let hold = format!(
        "begin; select from order_events where order_id = '{second}' and sequence = 2 for update"
    );
    holder.batch_execute(&hold).await.unwrap();
    let as_in_a_large_table = "set enable_seqscan = off; set enable_bitmapscan = off";
    other.batch_execute(as_in_a_large_table).await.unwrap();

    let trim = one.batch_execute("call order_feed_trim('0 seconds')");
    let erase = async {
        app.database.db_until_waiting(1).await;
        other.batch_execute("call order_erase('user123')").await
    };
    let release = async {
        app.database.db_until_waiting(2).await;
        // Nobody who orders waits for them.
        app.an_order_id().await;
        holder.batch_execute("commit").await
    };
    let (trimmed, erased, released) = join3(trim, erase, release).await;

    trimmed.unwrap();
    erased.unwrap();
    released.unwrap();
}

async fn connections(app: &TestApp) -> [tokio_postgres::Client; 3] {
    let connect = || Database::connect_to(&app.database.name);
    [connect().await, connect().await, connect().await]
}
