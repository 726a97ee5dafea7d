//! The order document is text that the database has made. Whatever the order holds, the text is
//! the JSON of the contract, and it follows every change, whoever makes it.

use order_service_tests::bodies::{line, order_with_lines};
use order_service_tests::{Reply, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

/// Orders that are made at random.
const ORDERS: usize = 60;

/// What JSON must escape, or a database or a script might take for something else.
const ODD: [&str; 21] = [
    "\"",
    "\\",
    "\\u0000",
    "\\\"",
    "/",
    "</script>",
    "'",
    "''",
    "$1",
    "%s",
    "{}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{1f4a5}",
    "\u{10ffff}",
    "é",
    "e\u{301}",
    "\u{202e}",
    r#","status":"delivered","version":9"#,
];
/// Those that only texts of several lines may have.
const BREAKS: [&str; 4] = ["\n", ",\n", "\r\n", "\t"];

/// Random numbers, the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // Xorshift; any bits will do.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    /// A text that is not blank, of odd pieces and characters of all planes.
    fn text(&mut self, with_breaks: bool) -> String {
        let mut text = String::from("x");
        for _ in 0..self.below(12) {
            match self.below(4) {
                0 if with_breaks => text.push_str(BREAKS[self.below(BREAKS.len())]),
                1 => {
                    let code = u32::try_from(self.below(0x11_0000)).unwrap_or(0);
                    text.extend(char::from_u32(code).filter(|c| !c.is_control()));
                }
                _ => text.push_str(ODD[self.below(ODD.len())]),
            }
        }
        text
    }

    fn order(&mut self, products: usize) -> Value {
        let lines = (0..=self.below(5)).map(|_| {
            let quantity = u32::try_from(1 + self.below(99)).unwrap_or(1);
            line(&format!("p{}", self.below(products)), quantity)
        });
        let mut order = order_with_lines(lines.collect());
        order["user_id"] = self.text(false).into();
        order["shipping_address"] = self.text(true).into();
        if self.below(2) == 0 {
            order["billing_address"] = self.text(true).into();
        }
        match self.below(3) {
            0 => {}
            1 => order["notes"] = self.text(true).into(),
            _ => order["notes"] = Value::Null,
        }
        order
    }
}

/// Checks the document in the reply against what was sent and what the columns hold.
async fn assert_document(app: &TestApp, reply: &Reply, sent: &Value) {
    let order = reply.data();
    let text = reply.text();
    for field in ["user_id", "shipping_address", "notes"] {
        assert_eq!(order[field], sent[field], "{field} of {text}");
    }
    let billing = match &sent["billing_address"] {
        Value::Null => &sent["shipping_address"],
        given => given,
    };
    assert_eq!(&order["billing_address"], billing, "{text}");
    let columns = db_columns(app, order["id"].as_str().unwrap()).await;
    assert_eq!(order, columns, "{text}");
    // As text, since a number would lose its last zero.
    let total = reply.raw("/data/total_amount");
    assert_eq!(total, money(&columns["total_amount"]));
    for (position, item) in columns["order_items"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        assert_eq!(
            item["product_id"],
            sent["order_items"][position]["product_id"]
        );
        assert_eq!(item["quantity"], sent["order_items"][position]["quantity"]);
        for amount in ["unit_price", "subtotal"] {
            let raw = reply.raw(&format!("/data/order_items/{position}/{amount}"));
            assert_eq!(raw, money(&item[amount]));
        }
    }
}

fn money(number: &Value) -> String {
    format!("{:.2}", number.as_f64().unwrap())
}

/// The order as its columns say, put together here and not by the service's own functions. Moments
/// are made of numbers, so that no setting of a session and no rounding has a hand in them.
async fn db_columns(app: &TestApp, id: &str) -> Value {
    let moment = |column: &str| {
        format!(
            "(select concat(lpad(extract(year from t)::text, 4, '0'), '-',
                            lpad(extract(month from t)::text, 2, '0'), '-',
                            lpad(extract(day from t)::text, 2, '0'), 'T',
                            lpad(extract(hour from t)::text, 2, '0'), ':',
                            lpad(extract(minute from t)::text, 2, '0'), ':',
                            lpad(trunc(extract(second from t))::text, 2, '0'), '.',
                            lpad((extract(microseconds from t)::int % 1000000)::text, 6, '0'), 'Z')
              from (select {column} at time zone 'utc' as t where {column} is not null) as moment)"
        )
    };
    let sql = format!(
        "select jsonb_build_object('id', id, 'user_id', user_id, 'status', status,
                    'total_amount', total_amount, 'currency', currency,
                    'shipping_address', shipping_address, 'billing_address', billing_address,
                    'notes', notes, 'version', version, 'created_at', {created}, 'updated_at', {updated},
                    'order_items', (select coalesce(jsonb_agg(jsonb_build_object('id', i.id,
                        'order_id', i.order_id, 'product_id', i.product_id, 'quantity', i.quantity,
                        'unit_price', i.unit_price, 'subtotal', i.subtotal,
                        'price_as_of', {as_of}, 'created_at', {item_created},
                        'updated_at', {item_updated}) order by i.line), '[]')
                      from order_items i where i.order_id = orders.id))
         from orders where id = $1",
        created = moment("orders.created_at"),
        updated = moment("orders.updated_at"),
        as_of = moment("i.price_as_of"),
        item_created = moment("i.created_at"),
        item_updated = moment("i.updated_at"),
    );
    let id = Uuid::parse_str(id).unwrap();
    app.database.db_query(&sql, &[&id]).await[0].get(0)
}

/// The service with settings of the server that change how dates and numbers are written.
async fn an_odd_server() -> TestApp {
    let app = TestApp::start().await;
    for setting in [
        "timezone to 'Asia/Kathmandu'",
        "datestyle to 'SQL, DMY'",
        "intervalstyle to 'sql_standard'",
    ] {
        let name = &app.database.name;
        let alter = format!("alter database {name} set {setting}");
        app.database.db_execute(&alter).await;
    }
    app
}

#[tokio::test]
async fn whatever_an_order_holds_its_document_is_the_same_for_every_reader() {
    let app = an_odd_server().await;
    let seed = u64::from_str_radix(&Uuid::new_v4().simple().to_string()[..15], 16).unwrap() | 1;
    println!("the seed is {seed}");
    let mut dice = Dice(seed);
    let prices = ["0.00", "0.01", "0.10", "7", "9.9", "19.99", "1234.50"];
    for (number, price) in prices.iter().enumerate() {
        app.products.set_price(&format!("p{number}"), price);
    }

    for _ in 0..ORDERS {
        let sent = dice.order(prices.len());
        let created = app.api.order_create(&sent).await.success(201);
        assert_document(&app, &created, &sent).await;

        let id = created.data()["id"].as_str().unwrap().to_owned();
        let read = app.api.order_get(&id).await.success(200);
        assert_eq!(read.raw("/data"), created.raw("/data"));
        let listed = app.api.order_list("page_size=1").await.success(200);
        assert_eq!(listed.raw("/data/0"), created.raw("/data"));

        let confirmed = app.api.order_set_status(&id, "confirmed").await;
        let confirmed = confirmed.success(200);
        assert_document(&app, &confirmed, &sent).await;
        let read = app.api.order_get(&id).await.success(200);
        assert_eq!(read.raw("/data"), confirmed.raw("/data"));
    }
    let kept = "select count(*) from orders where body = order_body_of(id)";
    assert_eq!(
        app.database.db_count(kept).await,
        i64::try_from(ORDERS).unwrap(),
        "all bodies are kept"
    );
}

#[tokio::test]
async fn moments_have_six_digits_and_a_z_whatever_they_are() {
    let app = an_odd_server().await;
    let id = app.an_order_id().await;

    for (stored, shown) in [
        (
            "2026-01-31 23:59:59.999999+00",
            "2026-01-31T23:59:59.999999Z",
        ),
        ("2026-01-31 00:00:00+00", "2026-01-31T00:00:00.000000Z"),
        (
            "2026-01-31 00:00:00.100000+00",
            "2026-01-31T00:00:00.100000Z",
        ),
        (
            "2026-02-01 00:30:00.000001+02",
            "2026-01-31T22:30:00.000001Z",
        ),
        ("0099-12-31 12:00:00+00", "0099-12-31T12:00:00.000000Z"),
    ] {
        let moments = format!(
            "update orders set created_at = '{stored}', updated_at = '{stored}';
             update order_items set created_at = '{stored}', updated_at = '{stored}',
                                    price_as_of = '{stored}'"
        );
        app.database.db_execute(&moments).await;

        let listed = app.api.order_list("").await.success(200);

        let columns = db_columns(&app, &id).await;
        assert_eq!(listed.data()[0], columns);
        assert_eq!(columns["updated_at"], shown);
        assert_eq!(columns["order_items"][0]["price_as_of"], shown);
    }
}

/// What somebody might do by hand, and what of it the document shows.
const BY_HAND: [&str; 9] = [
    "update orders set notes = 'by hand'",
    "update orders set notes = null, billing_address = 'elsewhere'",
    "update orders set user_id = 'another', shipping_address = 'there'",
    "update orders set total_amount = 12, currency = 'EUR'",
    "update orders set created_at = created_at - interval '1 day'",
    "update order_items set product_id = 'p2', unit_price = 5, quantity = 2, subtotal = 10",
    "insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal)
     select gen_random_uuid(), id, 0, 'first', 1, 0, 0 from orders",
    "update order_items set price_as_of = now() where line = 0",
    "delete from order_items where line = 1",
];

#[tokio::test]
async fn a_change_by_hand_shows_and_the_body_can_be_kept_again() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    for by_hand in BY_HAND {
        app.database.db_execute(by_hand).await;

        for is_kept in [false, true] {
            let kept = "select count(body) from orders";
            assert_eq!(
                app.database.db_count(kept).await,
                i64::from(is_kept),
                "{by_hand}"
            );
            let listed = app.api.order_list("").await.success(200);
            assert_eq!(listed.data()[0], db_columns(&app, &id).await, "{by_hand}");
            app.database.db_execute("call orders_fill_bodies()").await;
        }
    }
    let order = app
        .api
        .order_set_status(&id, "confirmed")
        .await
        .success(200);
    assert_eq!(order.data(), db_columns(&app, &id).await);
    assert_eq!(
        app.database
            .db_count("select count(body) from orders")
            .await,
        1
    );
    let order: Value = app.api.order_get(&id).await.success(200).data();
    assert_eq!(order["order_items"][0]["product_id"], json!("first"));
}
