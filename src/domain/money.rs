//! Exact amounts of money with two decimals.

use core::fmt;

use rust_decimal::Decimal;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::number;

/// An amount from 0.00 to 99,999,999.99, the range of the database's `decimal(10, 2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(Decimal);

/// Why a number is no [`Money`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotMoney {
    /// Not a decimal number, negative, or with more than two decimals.
    Malformed,
    /// More than [`Money::MAX`].
    TooLarge,
}

impl Money {
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// 99,999,999.99
    pub const MAX: Self = Self(Decimal::from_parts(1_410_065_407, 2, 0, false, 2));

    /// Reads a JSON number or the text of one, such as `29.99`, `30` or `3e1`.
    pub fn parse(text: &str) -> Result<Self, NotMoney> {
        // Other spellings that the parser would take (`+1`, `1_000`, `.5`) are not JSON's.
        let json: Result<&RawValue, _> = serde_json::from_str(text);
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if !is_number || json.map_or(0, |json| json.get().len()) != text.len() {
            return Err(NotMoney::Malformed);
        }
        Self::try_from(number::exact(text).map_err(|_| NotMoney::Malformed)?)
    }

    /// Reads a JSON value: a number, or a string with the text of one.
    pub fn read(raw: &RawValue) -> Result<Self, NotMoney> {
        if !raw.get().starts_with('"') {
            return Self::parse(raw.get());
        }
        let text: String = serde_json::from_str(raw.get()).map_err(|_| NotMoney::Malformed)?;
        Self::parse(&text)
    }

    /// The price of `quantity` pieces; `None` above [`Money::MAX`].
    pub fn times(self, quantity: i32) -> Option<Self> {
        let product = self.0.checked_mul(Decimal::from(quantity))?;
        Self::try_from(product).ok()
    }

    /// The sum; `None` above [`Money::MAX`].
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::try_from(self.0.checked_add(other.0)?).ok()
    }

    /// The amount with exactly two decimals.
    pub fn decimal(self) -> Decimal {
        let mut decimal = self.0;
        decimal.rescale(2);
        decimal
    }
}

impl TryFrom<Decimal> for Money {
    type Error = NotMoney;

    fn try_from(number: Decimal) -> Result<Self, NotMoney> {
        let negative = number.is_sign_negative() && !number.is_zero();
        if negative || number.scale() > 2 {
            return Err(NotMoney::Malformed);
        }
        if number > Self::MAX.0 {
            return Err(NotMoney::TooLarge);
        }
        Ok(Self(number.abs()))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decimal().fmt(f)
    }
}

impl Serialize for Money {
    /// A JSON number with two decimals. No floating point: the digits are passed through.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_amount_is_the_columns() {
        assert_eq!(Money::MAX.to_string(), "99999999.99");
        assert_eq!(Money::parse("99999999.99"), Ok(Money::MAX));
        assert_eq!(Money::parse("100000000"), Err(NotMoney::TooLarge));
    }

    #[test]
    fn amounts_have_two_decimals_in_json() {
        let json = |text| serde_json::to_string(&Money::parse(text).ok()).ok();
        for (text, expected) in [
            ("29.99", "29.99"),
            ("30", "30.00"),
            ("3e1", "30.00"),
            ("0.1", "0.10"),
            ("0", "0.00"),
            ("-0", "0.00"),
        ] {
            assert_eq!(json(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-",
            "-0.01",
            "0.001",
            "1.000",
            "NaN",
            "1_000",
            "+1",
            ".5",
            "5.",
            "0x1",
            "1e400",
            " 1",
            "1 ",
            "01",
            "1.e2",
            "100e-+2",
            "0.00000000000000000000000029996e26",
        ] {
            assert_eq!(Money::parse(text), Err(NotMoney::Malformed), "{text}");
        }
    }

    #[test]
    fn sums_are_exact() {
        let cent = Money::parse("0.01");
        let sum = (0..100).try_fold(Money::ZERO, |sum, _| sum.plus(cent.ok()?));
        assert_eq!(sum.map(|sum| sum.to_string()).as_deref(), Some("1.00"));
    }
}
