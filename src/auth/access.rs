//! Who may do what. The table of routes says it for each operation; from there it goes to the
//! guard, to the `OpenAPI` document, and to the test that tries every kind of caller.

use crate::identity::scopes::Scope;

/// Who may call an operation when callers show tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, however often.
    Probe,
    /// Anybody, unless `expose_metrics` is off.
    Metrics,
    /// Anybody, unless `expose_docs` is off.
    Docs,
    /// Users, for what is theirs; staff with the scope, for everybody's. What belongs to
    /// somebody else is not there.
    Own(Scope),
    /// Staff with the scope. To users their own order is forbidden, another's not there.
    SeeOwn(Scope),
    /// Staff with the scope, nobody else.
    Staff(Scope),
}

impl Access {
    /// What staff need.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Probe | Self::Metrics | Self::Docs => None,
            Self::Own(scope) | Self::SeeOwn(scope) | Self::Staff(scope) => Some(scope),
        }
    }
}
