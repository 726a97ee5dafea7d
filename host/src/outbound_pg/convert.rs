//! Rows: from Postgres's values to the guest's.

use anyhow::Result;
use bytes::BufMut as _;
use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use postgres_range::{BoundSided, BoundType, Normalizable, Range, RangeBound};
use rust_decimal::Decimal;
use tokio_postgres::Row as PgRow;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

use crate::bindings::spin::postgres::postgres::{
    Column, DbDataType, DbValue, Interval, RangeBoundKind, Row,
};

type BoxError = Box<dyn std::error::Error + Sync + Send>;
type Bound<T> = Option<(T, RangeBoundKind)>;

/// The names and types of a row's columns.
pub fn columns(row: &PgRow) -> Vec<Column> {
    let column = |column: &tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        data_type: data_type(column.type_()),
    };
    row.columns().iter().map(column).collect()
}

fn data_type(from: &Type) -> DbDataType {
    use DbDataType as D;
    match *from {
        Type::BOOL => D::Boolean,
        Type::BYTEA => D::Binary,
        Type::FLOAT4 => D::Floating32,
        Type::FLOAT8 => D::Floating64,
        Type::INT2 => D::Int16,
        Type::INT4 => D::Int32,
        Type::INT8 => D::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => D::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => D::Datetime,
        Type::DATE => D::Date,
        Type::TIME => D::Time,
        Type::UUID => D::Uuid,
        Type::JSONB => D::Jsonb,
        Type::NUMERIC => D::Decimal,
        Type::INT4_RANGE => D::RangeInt32,
        Type::INT8_RANGE => D::RangeInt64,
        Type::NUM_RANGE => D::RangeDecimal,
        Type::INT4_ARRAY => D::ArrayInt32,
        Type::INT8_ARRAY => D::ArrayInt64,
        Type::NUMERIC_ARRAY => D::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => D::ArrayStr,
        Type::INTERVAL => D::Interval,
        _ => D::Other(from.name().to_owned()),
    }
}

/// The values of a row.
///
/// # Errors
///
/// A value does not fit the guest's type. That goes for every `timestamptz`: Spin reads it as
/// a timestamp without time zone, and the driver refuses to.
pub fn row(row: &PgRow) -> Result<Row> {
    (0..row.len()).map(|index| value(row, index)).collect()
}

fn value(row: &PgRow, index: usize) -> Result<DbValue> {
    use DbValue as V;
    let Some(column) = row.columns().get(index) else {
        return Ok(V::DbNull);
    };
    match *column.type_() {
        Type::BOOL => get(row, index, V::Boolean),
        Type::BYTEA => get(row, index, V::Binary),
        Type::FLOAT4 => get(row, index, V::Floating32),
        Type::FLOAT8 => get(row, index, V::Floating64),
        Type::INT2 => get(row, index, V::Int16),
        Type::INT4 => get(row, index, V::Int32),
        Type::INT8 => get(row, index, V::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => get(row, index, V::Str),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => get(row, index, datetime),
        Type::DATE => get(row, index, |date: NaiveDate| {
            V::Date((date.year(), small(date.month()), small(date.day())))
        }),
        Type::TIME => get(row, index, |time: NaiveTime| {
            let (hour, minute, second) = (time.hour(), time.minute(), time.second());
            V::Time((small(hour), small(minute), small(second), time.nanosecond()))
        }),
        Type::UUID => get(row, index, |uuid: Uuid| V::Uuid(uuid.to_string())),
        Type::JSONB => get(row, index, |json: serde_json::Value| {
            V::Jsonb(json.to_string().into())
        }),
        Type::NUMERIC => get(row, index, |number: Decimal| V::Decimal(number.to_string())),
        Type::INT4_RANGE => get(row, index, |found| V::RangeInt32(range(&found))),
        Type::INT8_RANGE => get(row, index, |found| V::RangeInt64(range(&found))),
        Type::NUM_RANGE => get(row, index, |found| V::RangeDecimal(decimal_range(&found))),
        Type::INT4_ARRAY => get(row, index, V::ArrayInt32),
        Type::INT8_ARRAY => get(row, index, V::ArrayInt64),
        Type::NUMERIC_ARRAY => get(row, index, |numbers: Vec<Option<Decimal>>| {
            let text = |number: Option<Decimal>| number.map(|number| number.to_string());
            V::ArrayDecimal(numbers.into_iter().map(text).collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => get(row, index, V::ArrayStr),
        Type::INTERVAL => get(row, index, |interval: PgInterval| V::Interval(interval.0)),
        _ => get(row, index, |raw: Raw| V::Unsupported(raw.0)),
    }
}

fn get<'a, T, F>(row: &'a PgRow, index: usize, convert: F) -> Result<DbValue>
where
    T: FromSql<'a>,
    F: FnOnce(T) -> DbValue,
{
    let found: Option<T> = row.try_get(index)?;
    Ok(found.map_or(DbValue::DbNull, convert))
}

fn datetime(at: NaiveDateTime) -> DbValue {
    let (month, day) = (small(at.month()), small(at.day()));
    let (hour, minute, second) = (small(at.hour()), small(at.minute()), small(at.second()));
    DbValue::Datetime((at.year(), month, day, hour, minute, second, at.nanosecond()))
}

/// Parts of dates and times are below 100.
fn small(part: u32) -> u8 {
    u8::try_from(part).unwrap_or(u8::MAX)
}

fn range<T: Copy + PartialOrd + Normalizable>(range: &Range<T>) -> (Bound<T>, Bound<T>) {
    let lower = range.lower().map(|bound| (bound.value, kind(bound)));
    let upper = range.upper().map(|bound| (bound.value, kind(bound)));
    (lower, upper)
}

fn decimal_range(range: &Range<RangeDecimal>) -> (Bound<String>, Bound<String>) {
    let lower = range
        .lower()
        .map(|bound| (bound.value.0.to_string(), kind(bound)));
    let upper = range
        .upper()
        .map(|bound| (bound.value.0.to_string(), kind(bound)));
    (lower, upper)
}

fn kind<S: BoundSided, T>(bound: &RangeBound<S, T>) -> RangeBoundKind {
    match bound.type_ {
        BoundType::Inclusive => RangeBoundKind::Inclusive,
        BoundType::Exclusive => RangeBoundKind::Exclusive,
    }
}

/// How much memory a row takes.
pub fn size(row: &Row) -> usize {
    row.iter()
        .map(|value| size_of::<DbValue>() + heap_size(value))
        .sum()
}

fn heap_size(value: &DbValue) -> usize {
    use DbValue as V;
    match value {
        V::Str(text) | V::Uuid(text) | V::Decimal(text) => text.len(),
        V::Binary(bytes) | V::Jsonb(bytes) | V::Unsupported(bytes) => bytes.len(),
        V::ArrayInt32(values) => values.len() * size_of::<Option<i32>>(),
        V::ArrayInt64(values) => values.len() * size_of::<Option<i64>>(),
        V::ArrayDecimal(values) | V::ArrayStr(values) => {
            let of_one = |value: &Option<String>| {
                size_of::<Option<String>>() + value.as_ref().map_or(0, String::len)
            };
            values.iter().map(of_one).sum()
        }
        _ => 0,
    }
}

/// A value of a type that the guest's interface does not have, as the server sent it.
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        Ok(Self(raw.to_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A number that can be the end of a range.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct RangeDecimal(pub Decimal);

impl Normalizable for RangeDecimal {
    fn normalize<S: BoundSided>(bound: RangeBound<S, Self>) -> RangeBound<S, Self> {
        bound
    }
}

impl ToSql for RangeDecimal {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <Decimal as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for RangeDecimal {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Decimal::from_sql(ty, raw).map(Self)
    }

    fn accepts(ty: &Type) -> bool {
        <Decimal as FromSql>::accepts(ty)
    }
}

/// An interval in the server's binary format: microseconds, days, months.
#[derive(Debug)]
pub struct PgInterval(pub Interval);

impl ToSql for PgInterval {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    accepts!(INTERVAL);
    to_sql_checked!();
}

impl FromSql<'_> for PgInterval {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        let (micros, rest) = raw.split_first_chunk().ok_or("interval too short")?;
        let (days, rest) = rest.split_first_chunk().ok_or("interval too short")?;
        let months = rest.try_into()?;
        Ok(Self(Interval {
            micros: i64::from_be_bytes(*micros),
            days: i32::from_be_bytes(*days),
            months: i32::from_be_bytes(months),
        }))
    }

    accepts!(INTERVAL);
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
