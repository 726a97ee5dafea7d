//! The bounds of the contract, stated once for validation and for the `OpenAPI` document.

/// Longest request body, in bytes.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// Deepest nesting of a request body; an order has three levels.
pub const BODY_NESTING_MAX: usize = 32;
/// Longest path with its query, in bytes.
pub const URI_MAX_BYTES: usize = 8 * 1024;
/// Longest headers of a request, names and values together, in bytes.
pub const HEADERS_MAX_BYTES: usize = 32 * 1024;
/// Longest `user_id`, in characters.
pub const USER_ID_MAX: usize = 255;
/// Longest address, in characters.
pub const ADDRESS_MAX: usize = 1000;
/// Longest `notes`, in characters.
pub const NOTES_MAX: usize = 2000;
/// Longest reason of a cancellation, in characters.
pub const REASON_MAX: usize = 500;
/// Longest `product_id`, in characters.
pub const PRODUCT_ID_MAX: usize = 255;
/// Most lines of one order.
pub const ITEMS_MAX: usize = 100;
/// Largest quantity of one line.
pub const QUANTITY_MAX: i32 = 10_000;
/// Orders of one page when the client does not say.
pub const PAGE_SIZE_DEFAULT: u32 = 10;
/// Most orders of one page.
pub const PAGE_SIZE_MAX: u32 = 100;
/// The last row that can be reached by page number.
pub const PAGE_DEPTH_MAX: u64 = 10_000;
/// Longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_MAX: usize = 255;
/// Events of one page of the change feed when the client does not say.
pub const EVENTS_DEFAULT: u32 = 100;
/// Most events of one page of the change feed.
pub const EVENTS_MAX: u32 = 500;
/// Longest wait for an event, in seconds.
pub const WAIT_MAX_S: u32 = 20;
