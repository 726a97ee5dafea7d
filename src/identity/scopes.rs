//! What a token may allow beyond what is its user's own.

/// What staff may be allowed to do with everybody's orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    OrdersRead,
    OrdersWrite,
    OrdersStatus,
    OrdersEvents,
}

impl Scope {
    pub const ALL: [Self; 4] = [
        Self::OrdersRead,
        Self::OrdersWrite,
        Self::OrdersStatus,
        Self::OrdersEvents,
    ];

    /// As it is written in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrdersRead => "orders:read",
            Self::OrdersWrite => "orders:write",
            Self::OrdersStatus => "orders:status",
            Self::OrdersEvents => "orders:events",
        }
    }
}

/// The scopes of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    pub fn all() -> Self {
        Scope::ALL
            .iter()
            .fold(Self::default(), |scopes, scope| scopes.with(*scope))
    }

    /// Those of `names` that are scopes of this service; a token may have others.
    pub fn named<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        names.fold(Self::default(), |scopes, name| {
            let known = Scope::ALL.iter().find(|scope| scope.as_str() == name);
            known.map_or(scopes, |scope| scopes.with(*scope))
        })
    }

    pub fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    fn with(self, scope: Scope) -> Self {
        Self(self.0 | bit(scope))
    }
}

const fn bit(scope: Scope) -> u8 {
    match scope {
        Scope::OrdersRead => 1,
        Scope::OrdersWrite => 2,
        Scope::OrdersStatus => 4,
        Scope::OrdersEvents => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scopes_that_were_named_are_there() {
        let scopes =
            Scopes::named(["orders:read", "profile", "orders", "ORDERS:WRITE"].into_iter());
        assert!(scopes.has(Scope::OrdersRead));
        for scope in [Scope::OrdersWrite, Scope::OrdersStatus, Scope::OrdersEvents] {
            assert!(!scopes.has(scope), "{scope:?}");
        }
        assert!(Scope::ALL.iter().all(|scope| Scopes::all().has(*scope)));
    }
}
