//! A product service that fails: how it is left in peace, and what is ordered meanwhile.

mod breaker;
mod last_price;
mod outage;
