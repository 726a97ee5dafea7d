//! JSON numbers, read without rounding.

use rust_decimal::{Decimal, Error};

/// The value of a JSON number.
///
/// # Errors
/// It has more digits than a [`Decimal`] holds exactly.
pub fn exact(number: &str) -> Result<Decimal, Error> {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    // Reading both at once would round the mantissa.
    let value = Decimal::from_str_exact(mantissa)?;
    if mantissa.len() == number.len() {
        return Ok(value);
    }
    Decimal::from_scientific(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_is_written_or_nothing() {
        for (number, value) in [
            ("1.5", "1.5"),
            ("-0.50", "-0.5"),
            ("1.25e1", "12.5"),
            ("3E+2", "300"),
            ("3e-2", "0.03"),
            (
                "1.000000000000000000000000000e27",
                "1000000000000000000000000000",
            ),
        ] {
            let value = Decimal::from_str_exact(value).ok();
            assert_eq!(exact(number).ok(), value, "{number}");
        }
        for long in [
            "1.00000000000000000000000000001",
            "1.00000000000000000000000000001e0",
            "0.00000000000000000000000000019e28",
            "0.00000000000000000000000029996e26",
            "1e29",
            "1e-29",
            "1e4294967296",
        ] {
            assert!(exact(long).is_err(), "{long}");
        }
    }
}
