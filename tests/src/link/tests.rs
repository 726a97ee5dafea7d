use std::time::Duration;

use tokio_postgres::NoTls;

use super::*;
use crate::environment::{database_url, host_and_port, redis_url};

async fn postgres() -> (Link, tokio_postgres::Client) {
    let link = Link::to_postgres(&host_and_port(&database_url(), 5432)).await;
    let client = connect(&link).await.unwrap();
    (link, client)
}

async fn connect(link: &Link) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let mut url = database_url();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(link.address().port())).unwrap();
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn statements_are_counted_once_per_execution() {
    let (link, client) = postgres().await;

    let prepared = client.prepare("select $1::int4 + 1").await.unwrap();
    client.query(&prepared, &[&1]).await.unwrap();
    client.query(&prepared, &[&2]).await.unwrap();
    client.batch_execute("select 3").await.unwrap();
    client.batch_execute("CLOSE ALL; RESET ALL").await.unwrap();

    assert_eq!(
        link.seen(),
        ["select $1::int4 + 1", "select $1::int4 + 1", "select 3"]
    );
}

#[tokio::test]
async fn the_parameters_of_a_statement_are_noted() {
    let (link, client) = postgres().await;

    let sql = "select $1::int4, $2::text, $3::text";
    client
        .query(sql, &[&258, &"two", &None::<&str>])
        .await
        .unwrap();

    let parameters = [Some(vec![0, 0, 1, 2]), Some(b"two".to_vec()), None];
    assert_eq!(
        link.seen_requests(),
        [Request {
            text: sql.into(),
            parameters: parameters.into()
        }]
    );
}

#[tokio::test]
async fn a_refusing_link_breaks_connections_and_recovers() {
    let (link, client) = postgres().await;

    link.refuse().await;
    let broken = client.batch_execute("select 1").await;
    let refused = connect(&link).await.map(|_| ());
    link.restore().await;
    let again = connect(&link)
        .await
        .unwrap()
        .batch_execute("select 1")
        .await;

    assert!(broken.is_err());
    assert!(refused.is_err());
    assert!(again.is_ok());
}

#[tokio::test]
async fn a_hanging_link_is_silent_and_then_goes_on() {
    let (link, client) = postgres().await;

    link.hang().await;
    let query = client.batch_execute("select 1");
    tokio::pin!(query);
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut query).await;
    link.restore().await;

    assert!(waited.is_err());
    assert!(query.await.is_ok());
}

#[tokio::test]
async fn a_cut_link_takes_new_connections() {
    let (link, client) = postgres().await;

    link.cut();
    tokio::time::sleep(Duration::from_millis(50)).await;

    assert!(client.batch_execute("select 1").await.is_err());
    assert!(connect(&link).await.is_ok());
}

#[tokio::test]
async fn redis_commands_are_noted() {
    let link = Link::to_redis(&host_and_port(&redis_url(), 6379)).await;
    let mut url = redis_url();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(link.address().port())).unwrap();
    let client = ::redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    let reply: String = ::redis::cmd("echo")
        .arg("two words")
        .query_async(&mut connection)
        .await
        .unwrap();

    assert_eq!(reply, "two words");
    assert_eq!(link.seen(), ["ECHO two words"]);
}
