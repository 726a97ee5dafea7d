//! The origins whose pages may call.

use http::{HeaderValue, Uri};

/// Which origins may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    Any,
    These(Vec<HeaderValue>),
}

impl Origins {
    /// Reads a list of origins, separated by commas; `None` if it is empty. `*` is refused where
    /// `any` is not allowed.
    ///
    /// # Errors
    /// Something in the list is no origin.
    pub fn parse(list: &str, any: bool) -> Result<Option<Self>, &'static str> {
        let origins: Vec<&str> = list
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty())
            .collect();
        match origins.as_slice() {
            [] => Ok(None),
            ["*"] if any => Ok(Some(Self::Any)),
            ["*"] => Err("may be * with auth_mode=none only"),
            origins => {
                let origins: Option<_> = origins.iter().map(|it| parse_origin(it)).collect();
                let bad = "must be origins such as https://shop.example, separated by commas";
                origins.ok_or(bad).map(|it| Some(Self::These(it)))
            }
        }
    }

    /// What the response to a request from this origin says, if the origin may call.
    pub fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::These(origins) => origins.contains(origin).then(|| origin.clone()),
        }
    }
}

/// Scheme, host and port, as browsers write them: in lower case and without a usual port.
fn parse_origin(text: &str) -> Option<HeaderValue> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    let plain = format!("{scheme}://{authority}") == text;
    let usual = matches!(
        (scheme, uri.port_u16()),
        ("http", Some(80)) | ("https", Some(443))
    );
    let usable =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":/.-_[]".contains(&byte);
    let lower = text.bytes().all(usable);
    (plain && lower && !usual && matches!(scheme, "http" | "https"))
        .then(|| HeaderValue::from_str(text).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_origins_and_nothing_else() {
        assert_eq!(Origins::parse("", true), Ok(None));
        assert_eq!(Origins::parse("*", true), Ok(Some(Origins::Any)));
        assert!(Origins::parse("*", false).is_err());
        let two = Origins::parse("https://shop.example, http://localhost:3000", false);
        assert!(matches!(two, Ok(Some(Origins::These(origins))) if origins.len() == 2));
        for bad in [
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://shop.example:443",
            "https://*.example",
            "https://a@shop.example",
            "ftp://shop.example",
            "null",
            "https://a.example,*",
        ] {
            assert!(Origins::parse(bad, true).is_err(), "{bad}");
        }
    }
}
