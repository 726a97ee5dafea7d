//! Keys by URL: fetched once for all, renewed when a token names an unknown one, and kept when
//! the URL is silent.

use std::time::Duration;

use futures_util::future::join_all;
use order_service_tests::tokens::{Signer, jwks};
use order_service_tests::{Builder, Client, TestApp, wait};
use sample_products::{Reply, ScriptedProducts};

use super::{AUDIENCE, ISSUER, user};

const PATH: &str = "/realms/shop/keys";

/// A server of keys: HTTP that does what the test says.
async fn key_server(signers: &[&Signer]) -> ScriptedProducts {
    let server = ScriptedProducts::start().await.expect("a free port");
    publish(&server, signers);
    server
}

fn publish(server: &ScriptedProducts, signers: &[&Signer]) {
    server.set_path(PATH, set_of(signers));
}

fn set_of(signers: &[&Signer]) -> Reply {
    Reply::typed(200, "application/jwk-set+json", jwks(signers))
}

fn fetches(server: &ScriptedProducts) -> usize {
    server.log().len()
}

fn trusting(server: &ScriptedProducts) -> Builder {
    TestApp::builder()
        .variable("auth_mode", "jwt")
        .variable("auth_jwks_url", format!("{}{PATH}", server.url()))
        .variable("auth_jwks_host", server.url())
        .variable("auth_issuer", ISSUER)
        .variable("auth_audience", AUDIENCE)
}

/// Ann, whose token this one has signed.
fn ann(api: &Client, signer: &Signer) -> Client {
    api.with_token(&signer.sign(&user("ann")))
}

async fn status(client: &Client) -> u16 {
    client.user_orders("ann", "").await.status
}

#[tokio::test]
async fn all_instances_and_replicas_share_one_fetch() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    let second = app.another_host().await;
    let apis = [app.api.clone(), Client::new(second.url())];

    let calls = (0..40).map(|n| {
        let client = ann(&apis[n % 2], &signer);
        async move { status(&client).await }
    });
    let statuses = join_all(calls).await;

    assert_eq!(statuses, [200; 40]);
    assert_eq!(fetches(&server), 1);
    assert_eq!(
        app.api.ready().await.success(200).data()["keys"]["state"],
        "up"
    );
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart() {
    let (old, new) = (Signer::ed25519("a"), Signer::ed25519("b"));
    let server = key_server(&[&old]).await;
    let app = trusting(&server).start().await;
    assert_eq!(status(&ann(&app.api, &old)).await, 200);
    let_a_minute_pass(&app).await;

    publish(&server, &[&new]);

    assert_eq!(status(&ann(&app.api, &new)).await, 200);
    // The old key has been withdrawn, and with it what it had verified.
    assert_eq!(status(&ann(&app.api, &old)).await, 401);
    assert_eq!(fetches(&server), 2);
}

/// The next fetch may come at once.
async fn let_a_minute_pass(app: &TestApp) {
    let mut forget = redis::cmd("del");
    forget.arg(app.redis_key("auth-keys:fetch"));
    let _was_there: i64 = app.redis_command(&forget).await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch_a_minute() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    let second = app.another_host().await;
    let apis = [app.api.clone(), Client::new(second.url())];
    assert_eq!(status(&ann(&app.api, &signer)).await, 200);
    let_a_minute_pass(&app).await;

    let calls = (0..200).map(|n| {
        let stranger = ann(&apis[n % 2], &Signer::ed25519(&format!("unheard-of-{n}")));
        async move { status(&stranger).await }
    });
    let statuses = join_all(calls).await;

    assert_eq!(statuses, [401; 200]);
    assert_eq!(
        fetches(&server),
        2,
        "one at the start, one for all of the flood"
    );
    assert_eq!(status(&ann(&app.api, &signer)).await, 200);
    let mut ttl = redis::cmd("pttl");
    ttl.arg(app.redis_key("auth-keys:fetch"));
    let ttl_ms: i64 = app.redis_command(&ttl).await;
    assert!(
        (30_000..=60_000).contains(&ttl_ms),
        "{ttl_ms} ms until the next one"
    );
}

#[tokio::test]
async fn while_there_are_no_keys_orders_answer_503_and_soon_after_no_more() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    server.set_path(PATH, Reply::status(500));
    let app = trusting(&server).start().await;
    let ann = ann(&app.api, &signer);

    let reply = ann.user_orders("ann", "").await;
    reply.assert_error(503, "authentication_unavailable");
    let ready = app.api.ready().await.success(200).data();
    assert_eq!(
        (&ready["state"], &ready["keys"]["state"]),
        (&"degraded".into(), &"down".into())
    );
    publish(&server, &[&signer]);

    order_service_tests::wait::until("there are keys", async || status(&ann).await == 200).await;
}

#[tokio::test]
async fn a_key_server_that_hangs_costs_no_more_than_the_deadline() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    server.set_path(PATH, Reply::hang());
    let app = trusting(&server)
        .request_timeout(Duration::from_secs(1))
        .start()
        .await;

    let reply = ann(&app.api, &signer).user_orders("ann", "").await;

    reply.assert_error(503, "authentication_unavailable");
    assert!(
        reply.elapsed < Duration::from_secs(4),
        "{:?}",
        reply.elapsed
    );
}

#[tokio::test]
async fn the_last_keys_count_while_the_url_is_silent() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    assert_eq!(status(&ann(&app.api, &signer)).await, 200);
    server.stop();
    let_a_minute_pass(&app).await;

    let unknown = ann(&app.api, &Signer::ed25519("b"));
    assert_eq!(status(&unknown).await, 401);
    // Another replica, which has never seen the server, has the keys from Redis.
    let second = app.another_host().await;
    assert_eq!(status(&ann(&Client::new(second.url()), &signer)).await, 200);
}

#[tokio::test]
async fn without_redis_each_instance_fetches_for_itself() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    app.redis.refuse().await;

    let status = status(&ann(&app.api, &signer)).await;
    app.redis.restore().await;

    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_set_without_a_usable_key_replaces_nothing() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    assert_eq!(status(&ann(&app.api, &signer)).await, 200);

    for bad in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        "<html>",
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
    ] {
        server.set_path(PATH, Reply::raw(200, bad));
        let_a_minute_pass(&app).await;
        let unknown = ann(&app.api, &Signer::ed25519("b"));
        assert_eq!(status(&unknown).await, 401, "{bad}");
        assert_eq!(status(&ann(&app.api, &signer)).await, 200, "{bad}");
    }
}

#[tokio::test]
async fn a_fetch_goes_on_when_readiness_can_wait_no_longer() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    server.set_path(PATH, set_of(&[&signer]).after(Duration::from_millis(1500)));
    let app = trusting(&server).start().await;

    let ready = app.api.ready().await.success(200).data();
    assert_eq!(ready["keys"]["state"], "down");

    assert_eq!(status(&ann(&app.api, &signer)).await, 200);
    assert_eq!(fetches(&server), 1);
}

#[tokio::test]
async fn nobody_who_has_keys_waits_for_another_ones_fetch() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    assert_eq!(status(&ann(&app.api, &signer)).await, 200);
    // The set is old, and an instance is about to renew it.
    let claim = redis::cmd("set")
        .arg(app.redis_key("auth-keys:fetch"))
        .arg("under-way")
        .arg(&["ex", "60"])
        .to_owned();
    let _set: String = app.redis_command(&claim).await;
    let_the_set_grow_old(&app).await;

    assert_another_host_answers_at_once(&app, &signer).await;
}

/// A host that has to look for the keys itself.
async fn assert_another_host_answers_at_once(app: &TestApp, signer: &Signer) {
    let second = app.another_host().await;
    let reply = ann(&Client::new(second.url()), signer)
        .user_orders("ann", "")
        .await;

    reply.assert_success(200);
    assert!(
        reply.elapsed < Duration::from_secs(1),
        "{:?}",
        reply.elapsed
    );
}

/// As if it had been fetched in 1970.
async fn let_the_set_grow_old(app: &TestApp) {
    let key = app.redis_key("auth-keys");
    let set: String = app.redis_command(redis::cmd("get").arg(&key)).await;
    let (_, set) = set.split_once(' ').unwrap();
    let mut change = redis::cmd("set");
    change.arg(&key).arg(format!("1 {set}"));
    let _set: String = app.redis_command(&change).await;
}

#[tokio::test]
async fn nobody_who_has_keys_waits_for_a_url_that_hangs() {
    let signer = Signer::ed25519("a");
    let server = key_server(&[&signer]).await;
    let app = trusting(&server).start().await;
    assert_eq!(status(&ann(&app.api, &signer)).await, 200);
    let_a_minute_pass(&app).await;
    let_the_set_grow_old(&app).await;
    server.set_path(PATH, Reply::hang());

    assert_another_host_answers_at_once(&app, &signer).await;
    wait::until("it is fetched all the same", async || fetches(&server) == 2).await;
}
