//! Product ids that try to be more than one segment of a path.

use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;

const IDS: [&str; 26] = [
    "../admin",
    "..",
    ".",
    "%2e%2e",
    "%2E%2E/admin",
    "../../health",
    "a/b",
    "a/b?c",
    "a?x=1",
    "?x=1",
    "a#b",
    "#",
    "/",
    "//evil.example/",
    "http://evil.example/",
    "@evil.example",
    "a\\b",
    "..\\admin",
    "a%2Fb",
    "100%",
    "a b",
    "a;v=1",
    "a+b&c=d",
    "smörgås",
    "\u{1f381}",
    "{id}",
];

#[tokio::test]
async fn hostile_ids_stay_in_their_place_of_the_path() {
    let app = TestApp::start().await;

    for id in IDS {
        app.products.set_price(id, "1.00");
        let seen_before = app.products.log().len();

        let reply = app.api.order_create(&order_of(&[id])).await;

        let requests = app.products.log().requests().split_off(seen_before);
        if id.contains(['/', '\\']) || [".", ".."].contains(&id) {
            // No encoding makes these one segment everywhere: they cannot be a product's.
            reply.assert_error(422, "unknown_product");
            assert!(requests.is_empty(), "{requests:?}");
            continue;
        }
        assert_eq!(reply.status, 201, "{id}: {}", reply.text());
        assert_eq!(reply.data()["order_items"][0]["product_id"], id);
        assert_eq!(requests.len(), 1, "{id}: {requests:?}");
        assert_eq!(
            requests[0].product_id.as_deref(),
            Some(id),
            "{}",
            requests[0].raw_path
        );
    }
}
