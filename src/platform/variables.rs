//! Spin variables.

use core::future::Future;

use send_wrapper::SendWrapper;
use spin_sdk::variables;

/// The value of a variable, or the reason why it has none.
pub fn get(name: &'static str) -> impl Future<Output = Result<String, String>> + Send {
    SendWrapper::new(async move {
        variables::get(name)
            .await
            .map_err(|error| error.to_string())
    })
}
