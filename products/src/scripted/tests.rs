use std::time::Duration;

use super::*;

async fn get(products: &ScriptedProducts, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("{}{path}", products.url()))
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_script_is_followed_and_its_last_reply_repeated() {
    let products = ScriptedProducts::start().await.unwrap();
    products.set(
        "p1",
        [
            Reply::status(503),
            Reply::priced("1.50").with_raw("stock", "3"),
        ],
    );

    let first = get(&products, "/api/products/p1/").await;
    let second = get(&products, "/api/products/p1/").await;
    let third = get(&products, "/api/products/p1/").await;

    assert_eq!(first.0, 503);
    let body =
        r#"{"status":"success","data":{"id":"p1","name":"A product","price":"1.50","stock":3}}"#;
    assert_eq!(second, (200, body.to_owned()));
    assert_eq!(third, second);
    assert_eq!(products.log().requests_for("p1").len(), 3);
}

#[tokio::test]
async fn the_undecoded_path_is_remembered() {
    let products = ScriptedProducts::start().await.unwrap();
    products.set_price("a/b?c", "1.00");

    let encoded = get(&products, "/api/products/a%2Fb%3Fc/").await;
    let escaped = get(&products, "/api/products/a/b?c/").await;

    assert_eq!((encoded.0, escaped.0), (200, 404));
    assert_eq!(
        products.log().raw_paths(),
        ["/api/products/a%2Fb%3Fc/", "/api/products/a/b?c/"]
    );
}

#[tokio::test]
async fn overlapping_requests_are_seen_as_such() {
    let products = ScriptedProducts::start().await.unwrap();
    let slow = Reply::priced("1.00").after(Duration::from_millis(100));
    products.set("slow", slow.clone());
    products.set(
        "dripping",
        Reply::priced("1.00").dripping(Duration::from_millis(2)),
    );

    tokio::join!(
        get(&products, "/api/products/slow/"),
        get(&products, "/api/products/dripping/")
    );
    get(&products, "/api/products/slow/").await;

    let log = products.log().requests();
    assert!(log[0].overlaps(&log[1]) && log[1].overlaps(&log[0]));
    assert!(!log[0].overlaps(&log[2]) && !log[1].overlaps(&log[2]));
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_its_request() {
    let products = ScriptedProducts::start().await.unwrap();
    products.set("hanging", Reply::hang());
    let url = format!("{}/api/products/hanging/", products.url());

    let waited = tokio::time::timeout(Duration::from_millis(100), reqwest::get(url)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    assert!(waited.is_err());
    assert!(products.log().requests()[0].ended_at.is_some());
}

#[tokio::test]
async fn a_broken_off_body_and_a_stopped_service_are_errors() {
    let products = ScriptedProducts::start().await.unwrap();
    products.set("broken", Reply::priced("1.00").broken_off());
    let url = format!("{}/api/products/broken/", products.url());

    let body = reqwest::get(&url).await.unwrap().text().await;
    products.stop();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let refused = reqwest::get(&url).await;

    assert!(body.is_err());
    assert!(refused.unwrap_err().is_connect());
}
