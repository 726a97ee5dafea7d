//! What the service tells about itself: metrics, logs and traces.

mod counters;
mod logs;
mod metrics;
mod overhead;
mod privacy;
mod queries;
mod traces;
