//! Replies of Redis in the guest's terms.

use redis::{ErrorKind, FromRedisValue, RedisError, Value};

use crate::bindings::spin::redis::redis::RedisResult;

/// A reply of any shape. The guest's interface has no nesting: lists within lists are flattened.
pub struct Results(pub Vec<RedisResult>);

impl Results {
    /// How much memory it takes.
    pub fn size(&self) -> usize {
        let of_one = |result: &RedisResult| {
            size_of::<RedisResult>()
                + match result {
                    RedisResult::Nil | RedisResult::Int64(_) => 0,
                    RedisResult::Status(text) => text.len(),
                    RedisResult::Binary(bytes) => bytes.len(),
                }
        };
        self.0.iter().map(of_one).sum()
    }
}

impl FromRedisValue for Results {
    fn from_redis_value(value: &Value) -> Result<Self, RedisError> {
        let mut results = Vec::new();
        append(&mut results, value)?;
        Ok(Self(results))
    }
}

fn append(results: &mut Vec<RedisResult>, value: &Value) -> Result<(), RedisError> {
    results.push(match value {
        Value::Nil => RedisResult::Nil,
        Value::Int(number) => RedisResult::Int64(*number),
        Value::BulkString(bytes) => RedisResult::Binary(bytes.clone()),
        Value::SimpleString(text) => RedisResult::Status(text.clone()),
        Value::Okay => RedisResult::Status("OK".to_owned()),
        Value::Double(number) => RedisResult::Binary(number.to_string().into_bytes()),
        Value::Boolean(truth) => RedisResult::Int64((*truth).into()),
        Value::Array(values) | Value::Set(values) => {
            return values.iter().try_for_each(|value| append(results, value));
        }
        Value::BigNumber(number) => RedisResult::Binary(format!("{number:?}").into_bytes()),
        Value::ServerError(error) => {
            let error = format!("{error:?}");
            return Err((ErrorKind::ResponseError, "Server error", error).into());
        }
        Value::Map(_) => return Err(unsupported("Map type is")),
        Value::Attribute { .. } => return Err(unsupported("Attribute type is")),
        Value::VerbatimString { .. } => return Err(unsupported("string with format attribute is")),
        Value::Push { .. } => return Err(unsupported("Pub/Sub types are")),
    });
    Ok(())
}

/// These never occur in the protocol version that connections use by default.
fn unsupported(what: &str) -> RedisError {
    let detail = format!("Redis {what} not supported");
    (
        ErrorKind::TypeError,
        "Could not convert Redis response",
        detail,
    )
        .into()
}
