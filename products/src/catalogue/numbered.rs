//! Products with numbers for ids, `1` to `1000`, served as a web framework does that decodes a
//! path before it takes it apart, turns ids into numbers by the rules of Python's `int()`, has
//! routes beside the products, and reads the end of a path as a format. So an id has aliases,
//! and some texts that are no ids lead to something else.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{not_found, reply};

/// How many there are.
const COUNT: u32 = 1000;
/// Of product 1, so that its aliases can be tried.
const STOCK_OF_FIRST: u32 = 3;
/// The product with the long description, and its length.
const LONG: (u32, usize) = (70, 70_000);
/// Products of the page that a search finds.
const FOUND: u32 = 500;

/// The digits zero of the scripts that are tried.
const ZEROS: [char; 4] = ['0', '\u{660}', '\u{966}', '\u{ff10}'];

/// What the path below the products is answered with, without the slash at its end.
pub fn answer(path: &str) -> Response {
    match path.split_once('/') {
        Some((id, action)) => sub_route(id, action),
        None => match path {
            "statistics" => {
                let data = json!({"total_products": COUNT, "average_price": "14.99"});
                success(&data)
            }
            "low_stock" => success(&json!([product(1)])),
            "search" => success(&(1..=FOUND).map(product).collect::<Value>()),
            id => one(id),
        },
    }
}

fn sub_route(id: &str, action: &str) -> Response {
    let error = |status, message: &str| {
        let body = json!({"status": "error", "message": message});
        reply(status, &body)
    };
    match (number(id), action.trim_end_matches('/')) {
        (Some(_), "check_stock") => error(StatusCode::BAD_REQUEST, "quantity is missing"),
        (Some(_), "update_stock") => error(StatusCode::METHOD_NOT_ALLOWED, "use POST"),
        _ => not_found("No such page."),
    }
}

fn one(id: &str) -> Response {
    let (id, format) = id.rsplit_once('.').unwrap_or((id, "json"));
    match (number(id), format) {
        (Some(number), "json") => success(&product(number)),
        (Some(number), "api") => {
            let page = format!("<!DOCTYPE html><h1>Product {number}</h1>");
            ([(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        _ => not_found("No such product."),
    }
}

fn success(data: &Value) -> Response {
    reply(StatusCode::OK, &json!({"status": "success", "data": data}))
}

fn product(number: u32) -> Value {
    let description = match number == LONG.0 {
        true => "long ".repeat(LONG.1 / 5),
        false => "A product with a number.".to_owned(),
    };
    json!({
        "id": number,
        "name": format!("Product {number}"),
        "description": description,
        "price": format!("{number}.99"),
        "stock": if number == 1 { STOCK_OF_FIRST } else { 1_000_000 },
        "is_active": true,
    })
}

/// The number of a product, read as Python's `int()` reads it: spaces around it, a sign, leading
/// zeros, single underscores between digits, and the digits of any script.
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let mut number: u32 = 0;
    for character in digits.chars().filter(|character| *character != '_') {
        number = number.checked_mul(10)?.checked_add(digit(character)?)?;
    }
    (1..=COUNT).contains(&number).then_some(number)
}

fn digit(character: char) -> Option<u32> {
    let after = |zero: char| u32::from(character).checked_sub(u32::from(zero));
    let mut values = ZEROS.into_iter().filter_map(after);
    values.find(|value| *value < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_aliases() {
        for alias in ["1", "01", "+1", " 1", "1 ", "0_1", "\u{661}", "\u{ff11}"] {
            assert_eq!(number(alias), Some(1), "{alias}");
        }
        for other in ["", "-1", "0", "1.0", "_1", "1_", "0__1", "1e0", "x", "1001"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_product_has_an_answer_of_its_own() {
        let status = |path: &str| answer(path).status().as_u16();
        assert_eq!(status("1.json"), 200);
        assert_eq!(status("statistics"), 200);
        assert_eq!(status("1/check_stock"), 400);
        assert_eq!(status("1/update_stock"), 405);
        assert_eq!(
            (status("p0"), status("1.xml"), status("1/x")),
            (404, 404, 404)
        );
    }
}
