//! The life cycle of an order: the one place that knows which change is allowed.

use core::fmt;
use core::str::FromStr;

use serde::Serialize;

/// Where an order is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = OrderStatus))]
pub enum Status {
    Pending,
    Confirmed,
    Shipped,
    Delivered,
    Cancelled,
}

use Status::{Cancelled, Confirmed, Delivered, Pending, Shipped};

impl Status {
    pub const ALL: [Self; 5] = [Pending, Confirmed, Shipped, Delivered, Cancelled];

    /// The statuses that may follow this one; none after a final one.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Pending => &[Confirmed, Cancelled],
            Confirmed => &[Shipped, Cancelled],
            Shipped => &[Delivered],
            Delivered | Cancelled => &[],
        }
    }

    /// The statuses that this one may follow.
    pub fn previous(self) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |from| from.next().contains(&self))
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Pending => "pending",
            Confirmed => "confirmed",
            Shipped => "shipped",
            Delivered => "delivered",
            Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown status")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_changes_are_the_contracts() {
        let allowed: Vec<_> = Status::ALL
            .into_iter()
            .flat_map(|from| from.next().iter().map(move |to| format!("{from} {to}")))
            .collect();
        assert_eq!(
            allowed,
            [
                "pending confirmed",
                "pending cancelled",
                "confirmed shipped",
                "confirmed cancelled",
                "shipped delivered"
            ]
        );
    }

    #[test]
    fn previous_is_the_inverse_of_next() {
        assert_eq!(
            Cancelled.previous().collect::<Vec<_>>(),
            [Pending, Confirmed]
        );
        assert_eq!(Pending.previous().count(), 0);
    }

    #[test]
    fn names_are_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("Pending".parse::<Status>(), Err(UnknownStatus));
    }
}
