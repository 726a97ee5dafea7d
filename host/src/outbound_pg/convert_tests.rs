use super::*;

#[test]
fn an_interval_is_read_back_as_written() {
    let interval = Interval {
        micros: -5,
        days: 40,
        months: -1,
    };
    let mut bytes = BytesMut::new();
    PgInterval(interval)
        .to_sql(&Type::INTERVAL, &mut bytes)
        .unwrap();
    let read = PgInterval::from_sql(&Type::INTERVAL, &bytes).unwrap().0;
    assert_eq!((read.micros, read.days, read.months), (-5, 40, -1));
    assert!(PgInterval::from_sql(&Type::INTERVAL, &bytes[1..]).is_err());
}

#[test]
fn enums_and_other_types_have_no_type_of_their_own() {
    assert!(matches!(data_type(&Type::INET), DbDataType::Other(name) if name == "inet"));
    assert!(matches!(
        data_type(&Type::TIMESTAMPTZ),
        DbDataType::Datetime
    ));
    assert!(matches!(data_type(&Type::BPCHAR), DbDataType::Str));
}

#[test]
fn a_range_without_an_end_has_none() {
    let lower = RangeBound::new(RangeDecimal(Decimal::new(15, 1)), BoundType::Inclusive);
    let (lower, upper) = decimal_range(&Range::new(Some(lower), None));
    assert_eq!(lower.unwrap().0, "1.5");
    assert!(upper.is_none());
}

#[test]
fn a_rows_size_counts_what_it_points_to() {
    let small = size(&vec![DbValue::Int32(1)]);
    let large = size(&vec![DbValue::Str("x".repeat(1000))]);
    assert_eq!(large, small + 1000);
}
