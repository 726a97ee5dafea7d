use super::*;
use crate::bindings::spin::postgres::postgres::Interval;

/// What a parameter looks like on the wire, or why it does not get there.
fn wire(value: ParameterValue, ty: &Type) -> Result<Option<Vec<u8>>, String> {
    let params = to_sql(&[value]).map_err(|error| format!("{error:#}"))?;
    let mut bytes = BytesMut::new();
    match params[0].to_sql_checked(ty, &mut bytes) {
        Ok(IsNull::Yes) => Ok(None),
        Ok(IsNull::No) => Ok(Some(bytes.to_vec())),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn null_fits_every_type() {
    for ty in [Type::INT4, Type::TEXT, Type::TIMESTAMPTZ, Type::JSONB] {
        assert_eq!(wire(ParameterValue::DbNull, &ty), Ok(None));
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    assert!(wire(ParameterValue::Int32(1), &Type::INT8).is_err());
    assert!(wire(ParameterValue::Int64(1), &Type::INT8).is_ok());
    assert!(wire(ParameterValue::Str("1".to_owned()), &Type::NUMERIC).is_err());
}

#[test]
fn only_a_timestamp_fits_a_time_zone() {
    let datetime = ParameterValue::Datetime((2024, 2, 29, 1, 2, 3, 0));
    assert!(wire(datetime.clone(), &Type::TIMESTAMP).is_ok());
    assert!(wire(datetime, &Type::TIMESTAMPTZ).is_err());
    assert!(wire(ParameterValue::Timestamp(0), &Type::TIMESTAMPTZ).is_ok());
}

#[test]
fn texts_that_are_not_what_they_claim_are_refused() {
    let cases = [
        (ParameterValue::Uuid("nope".to_owned()), "invalid UUID nope"),
        (
            ParameterValue::Decimal("1,5".to_owned()),
            "invalid decimal 1,5",
        ),
        (ParameterValue::Jsonb(b"{".to_vec()), "invalid JSON {"),
        (
            ParameterValue::Date((2023, 2, 29)),
            "invalid date y=2023, m=2, d=29",
        ),
        (ParameterValue::Time((24, 0, 0, 0)), "invalid time 24:0:0:0"),
    ];
    for (value, reason) in cases {
        let error = wire(value, &Type::TEXT).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn an_interval_is_micros_days_months() {
    let value = ParameterValue::Interval(Interval {
        micros: 1,
        days: 2,
        months: 3,
    });
    let expected = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    assert_eq!(wire(value, &Type::INTERVAL), Ok(Some(expected.to_vec())));
}
