//! Who a token says its bearer is. Pure: what is fetched or remembered is the business of
//! [`crate::auth`].

pub mod keys;
pub mod scopes;
mod signatures;
pub mod token;

/// Why a caller is unknown, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    #[error("there is no token")]
    NoToken,
    #[error("the token is refused: {0}")]
    BadToken(token::Reason),
}
