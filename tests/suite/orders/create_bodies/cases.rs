//! The bad bodies, one line each.

use order_service_tests::bodies::{line, order_but, order_of, order_with_lines, order_without};
use serde_json::{Value, json};

/// A body and the answer that it must get.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub body: Vec<u8>,
    pub status: u16,
    pub code: &'static str,
    /// `pointer code`, in the order they must be reported.
    pub problems: Vec<String>,
}

/// A body with one problem in a field.
fn invalid(name: &str, body: Value, problem: &str) -> Case {
    invalid_text(name, body.to_string(), &[problem])
}

fn invalid_text(name: &str, body: impl Into<Vec<u8>>, problems: &[&str]) -> Case {
    Case {
        name: name.to_owned(),
        body: body.into(),
        status: 400,
        code: "validation_failed",
        problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
    }
}

fn no_json(name: &str, body: impl Into<Vec<u8>>) -> Case {
    Case {
        code: "invalid_json",
        ..invalid_text(name, body, &[])
    }
}

/// The problems that every required text has in common.
fn required_text(field: &str, longest: usize) -> Vec<Case> {
    let pointer = format!("/{field}");
    let case = |name: &str, value: Value, code: &str| {
        let body = order_but(&pointer, value);
        invalid(
            &format!("{field} {name}"),
            body,
            &format!("{pointer} {code}"),
        )
    };
    vec![
        invalid(
            &format!("{field} missing"),
            order_without(&pointer),
            &format!("{pointer} required"),
        ),
        case("null", Value::Null, "required"),
        case("number", json!(42), "wrong_type"),
        case("boolean", json!(true), "wrong_type"),
        case("array", json!(["text"]), "wrong_type"),
        case("object", json!({"text": "text"}), "wrong_type"),
        case("empty", json!(""), "blank"),
        case("blank", json!("   "), "blank"),
        case(
            "blank beyond ASCII",
            json!("\u{a0}\u{2003}\u{3000}"),
            "blank",
        ),
        case(
            "too long by one",
            json!("x".repeat(longest + 1)),
            "too_long",
        ),
        case(
            "too long in characters",
            json!("ü".repeat(longest + 1)),
            "too_long",
        ),
        case("U+0000", json!("a\u{0}b"), "control_character"),
        case("U+001B", json!("a\u{1b}[31mb"), "control_character"),
        case("U+007F", json!("a\u{7f}b"), "control_character"),
    ]
}

pub fn user() -> Vec<Case> {
    let mut cases = required_text("user_id", 255);
    let newline = order_but("/user_id", "two\nlines");
    cases.push(invalid(
        "user_id of two lines",
        newline,
        "/user_id control_character",
    ));
    cases
}

pub fn addresses_and_notes() -> Vec<Case> {
    let case = |name: &str, field: &str, value: Value, code: &str| {
        let pointer = format!("/{field}");
        invalid(
            name,
            order_but(&pointer, value),
            &format!("{pointer} {code}"),
        )
    };
    let mut cases = required_text("shipping_address", 1000);
    cases.extend([
        case(
            "blank lines",
            "shipping_address",
            json!("\r\n\t\n"),
            "blank",
        ),
        case(
            "billing_address number",
            "billing_address",
            json!(1),
            "wrong_type",
        ),
        case(
            "billing_address empty",
            "billing_address",
            json!(""),
            "blank",
        ),
        case(
            "billing_address blank",
            "billing_address",
            json!(" \n "),
            "blank",
        ),
        case(
            "billing_address long",
            "billing_address",
            json!("x".repeat(1001)),
            "too_long",
        ),
        case(
            "billing_address U+0000",
            "billing_address",
            json!("\u{0}x"),
            "control_character",
        ),
        case("notes number", "notes", json!(0), "wrong_type"),
        case("notes array", "notes", json!([]), "wrong_type"),
        case("notes long", "notes", json!("x".repeat(2001)), "too_long"),
        case(
            "notes U+0000",
            "notes",
            json!("x\u{0}"),
            "control_character",
        ),
        case(
            "notes U+0008",
            "notes",
            json!("x\u{8}"),
            "control_character",
        ),
    ]);
    cases
}

pub fn lines() -> Vec<Case> {
    let items = |name: &str, value: Value, code: &str| {
        let body = order_but("/order_items", value);
        invalid(name, body, &format!("/order_items {code}"))
    };
    let item = |name: &str, value: Value| {
        let body = order_with_lines(vec![value]);
        invalid(name, body, "/order_items/0 wrong_type")
    };
    let product = |name: &str, value: Value, code: &str| {
        let body = order_but("/order_items/0/product_id", value);
        invalid(name, body, &format!("/order_items/0/product_id {code}"))
    };
    let missing = order_without("/order_items");
    let no_product = order_with_lines(vec![json!({"quantity": 1})]);
    vec![
        invalid("order_items missing", missing, "/order_items required"),
        items("order_items null", Value::Null, "required"),
        items("order_items empty", json!([]), "too_few_items"),
        items(
            "order_items object",
            json!({"0": line("p1", 1)}),
            "wrong_type",
        ),
        items("order_items text", json!("p1"), "wrong_type"),
        items(
            "order_items of 101",
            json!(vec![line("p1", 1); 101]),
            "too_many_items",
        ),
        item("line null", Value::Null),
        item("line text", json!("p1")),
        item("line number", json!(1)),
        item("line array", json!(["p1", 1])),
        invalid(
            "product_id missing",
            no_product,
            "/order_items/0/product_id required",
        ),
        product("product_id null", Value::Null, "required"),
        product("product_id number", json!(123), "wrong_type"),
        product("product_id object", json!({}), "wrong_type"),
        product("product_id empty", json!(""), "blank"),
        product("product_id blank", json!("\u{2009} "), "blank"),
        product("product_id long", json!("x".repeat(256)), "too_long"),
        product("product_id U+0000", json!("p1\u{0}"), "control_character"),
        product("product_id newline", json!("p1\n"), "control_character"),
        product("product_id U+0085", json!("p\u{85}1"), "control_character"),
    ]
}

pub fn quantities() -> Vec<Case> {
    let case = |name: &str, raw_json: &str, code: &str| {
        let body = order_of(&["p1"]).to_string();
        let body = body.replace(r#""quantity":1"#, &format!(r#""quantity":{raw_json}"#));
        let problem = format!("/order_items/0/quantity {code}");
        invalid_text(&format!("quantity {name}"), body, &[&problem])
    };
    let missing = order_with_lines(vec![json!({"product_id": "p1"})]);
    vec![
        invalid(
            "quantity missing",
            missing,
            "/order_items/0/quantity required",
        ),
        case("null", "null", "required"),
        case("text", r#""2""#, "wrong_type"),
        case("boolean", "true", "wrong_type"),
        case("array", "[2]", "wrong_type"),
        case("object", "{}", "wrong_type"),
        case("zero", "0", "out_of_range"),
        case("minus zero", "-0", "out_of_range"),
        case("negative", "-1", "out_of_range"),
        case("one too many", "10001", "out_of_range"),
        case("of 32 bits", "2147483648", "out_of_range"),
        case("of 64 bits", "9223372036854775808", "out_of_range"),
        case(
            "of 30 digits",
            "100000000000000000000000000001",
            "out_of_range",
        ),
        case("1e400", "1e400", "out_of_range"),
        case("-1e400", "-1e400", "out_of_range"),
        case("1e999999999999", "1e999999999999", "out_of_range"),
        case("fraction", "1.5", "wrong_type"),
        case("small fraction", "1.0000000001", "wrong_type"),
        case("negative fraction", "-1.5", "wrong_type"),
    ]
}

pub fn not_json() -> Vec<Case> {
    let valid = order_of(&["p1"]).to_string();
    let user = |raw_json: &str| valid.replace(r#""user123""#, raw_json);
    let quantity = |text: &str| valid.replace(r#""quantity":1"#, &format!(r#""quantity":{text}"#));
    let utf_16: Vec<u8> = valid.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut invalid_utf_8 = user(r#""user?""#).into_bytes();
    let position = invalid_utf_8.iter().position(|&byte| byte == b'?').unwrap();
    invalid_utf_8[position] = 0xff;
    vec![
        no_json("nothing", ""),
        no_json("white space", " \r\n\t "),
        no_json("one brace", "{"),
        no_json("cut in the middle", &valid.as_bytes()[..valid.len() / 2]),
        no_json("cut before the end", &valid.as_bytes()[..valid.len() - 1]),
        no_json("trailing text", format!("{valid} x")),
        no_json("trailing brace", format!("{valid}}}")),
        no_json("two documents", format!("{valid}{valid}")),
        no_json("form", "user_id=user123"),
        no_json(
            "key twice",
            valid.replacen('{', r#"{"user_id":"other","#, 1),
        ),
        no_json(
            "key twice, escaped",
            valid.replacen('{', r#"{"user_i\u0064":"other","#, 1),
        ),
        no_json(
            "unknown key twice",
            valid.replacen('{', r#"{"x":1,"x":2,"#, 1),
        ),
        no_json(
            "key of a line twice",
            valid.replace(r#""quantity":1"#, r#""quantity":1,"quantity":2"#),
        ),
        no_json("invalid UTF-8", invalid_utf_8),
        no_json(
            "overlong UTF-8",
            [user(r#""user"#).as_bytes(), b"\xc0\x80\"}"].concat(),
        ),
        no_json("UTF-16", utf_16),
        no_json("lone surrogate", user(r#""\ud800""#)),
        no_json("lone low surrogate", user(r#""\udc00""#)),
        no_json("surrogates in the wrong order", user(r#""\udc00\ud800""#)),
        no_json("unknown escape", user(r#""\x41""#)),
        no_json("raw newline in a text", user("\"two\nlines\"")),
        no_json("raw U+0000 in a text", user("\"a\0b\"")),
        no_json("single quotes", valid.replace('"', "'")),
        no_json("trailing comma", valid.replace('}', ",}")),
        no_json("comment", format!("/* an order */ {valid}")),
        no_json("bare word", user("user123")),
        no_json("True", user("True")),
        no_json("NaN", quantity("NaN")),
        no_json("Infinity", quantity("Infinity")),
        no_json("leading zero", quantity("01")),
        no_json("plus sign", quantity("+1")),
        no_json("no digit after the point", quantity("1.")),
        no_json("no digit before the point", quantity(".5")),
        no_json("hexadecimal", quantity("0x10")),
        no_json("quantity left out", quantity("")),
    ]
}

pub fn several_problems() -> Vec<Case> {
    let lines = json!([
        {"product_id": "", "quantity": 0},
        {"product_id": "p1", "quantity": 1},
        {"quantity": "2"},
        7,
    ]);
    vec![
        invalid_text(
            "empty object",
            "{}",
            &[
                "/user_id required",
                "/shipping_address required",
                "/order_items required",
            ],
        ),
        invalid_text("array", "[]", &[" wrong_type"]),
        invalid_text("null", "null", &[" wrong_type"]),
        invalid_text("text", r#""order""#, &[" wrong_type"]),
        invalid_text("number", "42", &[" wrong_type"]),
        invalid_text(
            "everything wrong",
            format!(
                r#"{{"order_items":{lines},"notes":false,"shipping_address":" ","user_id":"\u0000"}}"#
            ),
            &[
                "/order_items/0/product_id blank",
                "/order_items/0/quantity out_of_range",
                "/order_items/2/quantity wrong_type",
                // What is missing is missing at the end of its object.
                "/order_items/2/product_id required",
                "/order_items/3 wrong_type",
                "/notes wrong_type",
                "/shipping_address blank",
                "/user_id control_character",
            ],
        ),
    ]
}
