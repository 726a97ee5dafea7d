//! `POST /api/orders`: money is exact.

use order_service_tests::TestApp;
use order_service_tests::bodies::{line, order_of, order_with_lines};
use sample_products::Reply;

#[tokio::test]
async fn an_order_of_100_lines_has_the_exact_total() {
    let app = TestApp::start().await;
    let prices = [
        "0.01", "19.99", "99999.99", "0.10", "0.20", "1.15", "333.33", "0.07", "10.00", "4.35",
    ];
    let mut lines = Vec::new();
    let mut total_cents = 0_u64;
    for number in 0..100_u32 {
        let price = prices[number as usize % prices.len()];
        let id = format!("product-{number}");
        app.products.set_price(&id, price);
        let quantity = number % 7 + 1;
        total_cents += price.replace('.', "").parse::<u64>().unwrap() * u64::from(quantity);
        lines.push(line(&id, quantity));
    }

    let reply = app
        .api
        .order_create(&order_with_lines(lines))
        .await
        .success(201);

    let total = format!("{}.{:02}", total_cents / 100, total_cents % 100);
    assert_eq!(reply.raw("/data/total_amount"), total);
    assert_eq!(app.products.log().len(), 100);
    for number in 0..100 {
        let raw = |name: &str| reply.raw(&format!("/data/order_items/{number}/{name}"));
        assert_eq!(raw("unit_price"), prices[number % prices.len()]);
        assert_eq!(raw("quantity"), (number % 7 + 1).to_string());
        let cents = |text: &str| text.replace('.', "").parse::<usize>().unwrap();
        assert_eq!(
            cents(&raw("subtotal")),
            cents(&raw("unit_price")) * (number % 7 + 1)
        );
    }
    let read = app
        .api
        .order_get(reply.data()["id"].as_str().unwrap())
        .await;
    assert_eq!(
        read.raw("/data/total_amount"),
        total,
        "read back from the database"
    );
}

#[tokio::test]
async fn amounts_are_numbers_with_two_decimals_however_the_price_was_written() {
    let app = TestApp::start().await;
    let cases = [
        (Reply::product().with_raw("price", r#""29.99""#), "29.99"),
        (Reply::product().with_raw("price", "29.99"), "29.99"),
        (Reply::product().with_raw("price", r#""30""#), "30.00"),
        (Reply::product().with_raw("price", "30"), "30.00"),
        (Reply::product().with_raw("price", "30.5"), "30.50"),
        (Reply::product().with_raw("price", r#""0.00""#), "0.00"),
        (Reply::product().with_raw("price", "0"), "0.00"),
        (Reply::product().with_raw("price", "0.1"), "0.10"),
        (Reply::product().with_raw("price", "4.35"), "4.35"),
        (
            Reply::product().with_raw("price", "99999999.99"),
            "99999999.99",
        ),
    ];

    for (number, (product, amount)) in cases.into_iter().enumerate() {
        let id = format!("product-{number}");
        app.products.set(&id, product);
        let reply = app.api.order_create(&order_of(&[&id])).await;

        assert_eq!(reply.status, 201, "{amount}: {}", reply.text());
        let pointers = [
            "/data/total_amount",
            "/data/order_items/0/unit_price",
            "/data/order_items/0/subtotal",
        ];
        for pointer in pointers {
            assert_eq!(reply.raw(pointer), amount, "{pointer}");
        }
        // From the database, and then from the cache.
        let id = reply.data()["id"].as_str().unwrap().to_owned();
        for _ in 0..2 {
            let read = app.api.order_get(&id).await.success(200);
            assert_eq!(read.data(), reply.data());
            assert_eq!(read.raw("/data/total_amount"), amount);
            app.until_cached(&id).await;
        }
    }
}

#[tokio::test]
async fn the_largest_total_is_accepted_and_one_cent_more_is_not() {
    let app = TestApp::start().await;
    app.products.set_price("dear", "99999999.99");
    app.products.set_price("cent", "0.01");
    app.products.set_price("huge", "99999.99");

    let largest = app.api.order_create(&order_of(&["dear"])).await;
    let cent_more = app.api.order_create(&order_of(&["dear", "cent"])).await;
    let by_quantity = app
        .api
        .order_create(&order_with_lines(vec![line("huge", 10_000)]))
        .await;
    let by_lines = app
        .api
        .order_create(&order_with_lines(vec![line("dear", 10_000); 100]))
        .await;

    assert_eq!(
        largest.success(201).raw("/data/total_amount"),
        "99999999.99"
    );
    for reply in [cent_more, by_quantity, by_lines] {
        reply.assert_error(422, "total_too_large");
    }
    assert_eq!(app.db_order_count().await, 1);
}

#[tokio::test]
async fn the_currency_is_the_products() {
    let app = TestApp::start().await;
    app.products
        .set("euro", Reply::priced("1.00").with("currency", "EUR"));
    app.products
        .set("dollar", Reply::priced("1.00").with("currency", "USD"));

    let euro = app
        .api
        .order_create(&order_of(&["euro"]))
        .await
        .success(201);
    let default = app
        .api
        .order_create(&order_of(&["p1", "dollar"]))
        .await
        .success(201);
    let mixed = app.api.order_create(&order_of(&["dollar", "euro"])).await;
    let mixed_with_default = app.api.order_create(&order_of(&["euro", "p1"])).await;

    assert_eq!(euro.data()["currency"], "EUR");
    assert_eq!(default.data()["currency"], "USD");
    mixed.assert_error(422, "mixed_currencies");
    mixed_with_default.assert_error(422, "mixed_currencies");
    assert_eq!(app.db_order_count().await, 2);
}
