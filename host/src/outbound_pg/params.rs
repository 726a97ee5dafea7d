//! Parameters of statements: from the guest's values to Postgres's.

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use postgres_range::{BoundSided, BoundType, Range, RangeBound};
use rust_decimal::Decimal;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use uuid::Uuid;

use super::convert::{PgInterval, RangeDecimal};
use crate::bindings::spin::postgres::postgres::{ParameterValue, RangeBoundKind};

type Param = Box<dyn ToSql + Send + Sync>;
type Bound<T> = Option<(T, RangeBoundKind)>;

/// Converts all parameters of a statement.
///
/// # Errors
///
/// A date, number, UUID or JSON text is not one.
pub fn to_sql(values: &[ParameterValue]) -> Result<Vec<Param>> {
    values.iter().map(param).collect()
}

fn param(value: &ParameterValue) -> Result<Param> {
    use ParameterValue as P;
    Ok(match value {
        P::Boolean(value) => Box::new(*value),
        P::Int8(value) => Box::new(*value),
        P::Int16(value) => Box::new(*value),
        P::Int32(value) => Box::new(*value),
        P::Int64(value) => Box::new(*value),
        P::Floating32(value) => Box::new(*value),
        P::Floating64(value) => Box::new(*value),
        P::Str(value) => Box::new(value.clone()),
        P::Binary(value) => Box::new(value.clone()),
        P::Date((year, month, day)) => Box::new(date(*year, *month, *day)?),
        P::Time((hour, minute, second, nanos)) => Box::new(time(*hour, *minute, *second, *nanos)?),
        P::Datetime((year, month, day, hour, minute, second, nanos)) => {
            let time = time(*hour, *minute, *second, *nanos)?;
            Box::new(NaiveDateTime::new(date(*year, *month, *day)?, time))
        }
        P::Timestamp(seconds) => Box::new(
            DateTime::<Utc>::from_timestamp(*seconds, 0)
                .with_context(|| format!("invalid epoch timestamp {seconds}"))?,
        ),
        P::Uuid(text) => {
            Box::new(Uuid::parse_str(text).with_context(|| format!("invalid UUID {text}"))?)
        }
        P::Jsonb(bytes) => Box::new(
            serde_json::from_slice::<serde_json::Value>(bytes)
                .with_context(|| format!("invalid JSON {}", String::from_utf8_lossy(bytes)))?,
        ),
        P::Decimal(text) => Box::new(decimal(text)?),
        P::RangeInt32((lower, upper)) => Box::new(Range::new(bound(*lower), bound(*upper))),
        P::RangeInt64((lower, upper)) => Box::new(Range::new(bound(*lower), bound(*upper))),
        P::RangeDecimal((lower, upper)) => Box::new(Range::new(
            decimal_bound(lower.as_ref())?,
            decimal_bound(upper.as_ref())?,
        )),
        P::ArrayInt32(values) => Box::new(values.clone()),
        P::ArrayInt64(values) => Box::new(values.clone()),
        P::ArrayDecimal(values) => Box::new(
            values
                .iter()
                .map(|value| value.as_deref().map(decimal).transpose())
                .collect::<Result<Vec<_>>>()?,
        ),
        P::ArrayStr(values) => Box::new(values.clone()),
        P::Interval(value) => Box::new(PgInterval(*value)),
        P::DbNull => Box::new(Null),
    })
}

fn date(year: i32, month: u8, day: u8) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .with_context(|| format!("invalid date y={year}, m={month}, d={day}"))
}

fn time(hour: u8, minute: u8, second: u8, nanos: u32) -> Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanos)
        .with_context(|| format!("invalid time {hour}:{minute}:{second}:{nanos}"))
}

fn decimal(text: &str) -> Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal {text}"))
}

fn bound<S: BoundSided, T: PartialOrd>(bound: Bound<T>) -> Option<RangeBound<S, T>> {
    bound.map(|(value, kind)| RangeBound::new(value, bound_type(kind)))
}

fn decimal_bound<S: BoundSided>(
    bound: Option<&(String, RangeBoundKind)>,
) -> Result<Option<RangeBound<S, RangeDecimal>>> {
    bound
        .map(|(text, kind)| {
            Ok(RangeBound::new(
                RangeDecimal(decimal(text)?),
                bound_type(*kind),
            ))
        })
        .transpose()
}

fn bound_type(kind: RangeBoundKind) -> BoundType {
    match kind {
        RangeBoundKind::Inclusive => BoundType::Inclusive,
        RangeBoundKind::Exclusive => BoundType::Exclusive,
    }
}

/// SQL's null for a column of any type. An `Option` would insist on a type of its own.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(
        &self,
        _: &Type,
        _: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
