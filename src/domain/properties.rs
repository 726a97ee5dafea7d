//! What holds for all amounts of money, all ways through the statuses, and all cursors.

use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::cursor::{FeedPosition, Position};
use super::money::Money;
use super::status::Status;

const MAX_CENTS: i64 = 9_999_999_999;

/// An amount, and how many cents it has.
fn amount() -> impl Strategy<Value = (Money, i64)> {
    (0..=MAX_CENTS).prop_map(|cents| (money(cents), cents))
}

fn money(cents: i64) -> Money {
    Money::try_from(Decimal::new(cents, 2)).expect("an amount")
}

fn cents(amount: Money) -> i64 {
    i64::try_from(amount.decimal().mantissa()).expect("cents")
}

/// Any moment of the years that RFC 3339 knows, in microseconds.
fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let range = -62_167_219_200_000_000..=253_402_300_799_999_999_i64;
    range.prop_map(|us| DateTime::from_timestamp_micros(us).expect("a moment"))
}

proptest! {
    #[test]
    fn an_amount_is_written_and_read_without_loss((amount, cents_of_it) in amount()) {
        let text = amount.to_string();
        prop_assert_eq!(&text, &format!("{}.{:02}", cents_of_it / 100, cents_of_it % 100));
        prop_assert_eq!(Money::parse(&text), Ok(amount));
        prop_assert_eq!(serde_json::to_string(&amount).unwrap(), text);
    }

    #[test]
    fn a_price_has_at_most_two_decimals(mantissa in 0..=MAX_CENTS, scale in 0..10_u32) {
        let number = Decimal::new(mantissa, scale);
        let read = Money::parse(&number.to_string());
        if scale > 2 {
            prop_assert!(read.is_err());
        } else if let Ok(read) = read {
            prop_assert_eq!(read.decimal(), number);
        }
    }

    #[test]
    fn arithmetic_is_that_of_cents_or_refused(
        (one, a) in amount(), (other, b) in amount(), quantity in 1..=10_000_i32,
    ) {
        prop_assert_eq!(one.plus(other).map(cents), a.checked_add(b).filter(|it| *it <= MAX_CENTS));
        let product = a.checked_mul(i64::from(quantity));
        prop_assert_eq!(one.times(quantity).map(cents), product.filter(|it| *it <= MAX_CENTS));
        prop_assert_eq!(one.plus(other), other.plus(one));
    }

    #[test]
    fn a_total_does_not_depend_on_the_order_of_lines(mut lines in vec(0..=1_000_000_i64, 1..100)) {
        let sum = |lines: &[i64]| {
            lines.iter().try_fold(Money::ZERO, |sum, line| sum.plus(money(*line)))
        };
        let forwards = sum(&lines);
        lines.reverse();
        prop_assert_eq!(sum(&lines), forwards);
        prop_assert_eq!(forwards.map(cents), Some(lines.iter().sum()));
    }

    #[test]
    fn no_way_through_the_statuses_comes_back(
        start in select(&Status::ALL[..]), wishes in vec(select(&Status::ALL[..]), 0..20),
    ) {
        let mut status = start;
        let mut seen = vec![status];
        for wish in wishes {
            if status.next().contains(&wish) {
                prop_assert!(!seen.contains(&wish), "{wish} twice");
                prop_assert!(wish.previous().any(|it| it == status));
                status = wish;
                seen.push(status);
            } else {
                prop_assert!(wish.previous().all(|it| it != status));
            }
        }
        prop_assert!(seen.len() <= 4);
        // Whoever is not through yet can still get somewhere final.
        let is_final = |status: Status| status.next().is_empty();
        prop_assert!(is_final(status) || status.next().iter().any(|it| *it == Status::Cancelled || is_final(*it)));
    }

    #[test]
    fn a_cursor_is_read_back_in_its_own_list_and_no_other(
        created_at in moment(), id in any::<u128>(), list in ".{0,40}", other in ".{0,40}",
    ) {
        let position = Position { created_at, id: Uuid::from_u128(id) };
        let cursor = position.encode(&list);
        prop_assert!(cursor.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_')));
        prop_assert_eq!(Position::decode(&cursor, &list), Some(position));
        if list != other {
            prop_assert_eq!(Position::decode(&cursor, &other), None);
        }
        prop_assert_eq!(FeedPosition::decode(&cursor), None);
    }

    #[test]
    fn a_cursor_with_one_other_character_is_none(
        created_at in moment(), id in any::<u128>(), at in any::<prop::sample::Index>(),
        character in select(b"ABCXYZabcxyz0189-_".to_vec()),
    ) {
        let cursor = Position { created_at, id: Uuid::from_u128(id) }.encode("list");
        let mut bytes = cursor.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = character;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assume!(changed != cursor);
        prop_assert_eq!(Position::decode(&changed, "list"), None);
    }

    #[test]
    fn a_place_in_the_feed_is_read_back(position in any::<i64>(), number in any::<i64>()) {
        let place = FeedPosition { position, number };
        prop_assert_eq!(FeedPosition::decode(&place.encode()), Some(place));
    }
}
