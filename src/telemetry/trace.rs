//! The W3C trace context of a request. Spans are the host's; logs only name them.

use http::HeaderMap;
use opentelemetry::trace::{SpanId, TraceId};

/// Others are asked with it: one that is longer than any version needs might be refused there.
const LENGTH_MAX: usize = 256;

/// Whose trace a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: TraceId,
    pub span_id: SpanId,
}

impl TraceContext {
    /// Reads `traceparent`; `None` if it is missing or malformed.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get("traceparent")?.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may append fields; version 00 has just these, and ff is none.
        let known = version.len() == 2 && version != "ff";
        let lengths = (trace.len(), span.len(), flags.len()) == (32, 16, 2);
        let are_flags = u8::from_str_radix(flags, 16).is_ok();
        if !known || !lengths || !are_flags || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let context = Self {
            trace_id: TraceId::from_hex(trace).ok()?,
            span_id: SpanId::from_hex(span).ok()?,
        };
        let valid = context.trace_id != TraceId::INVALID && context.span_id != SpanId::INVALID;
        valid.then_some(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text).map(|context| context.trace_id.to_string());
        assert_eq!(context.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[test]
    fn a_malformed_traceparent_is_none() {
        for text in [
            "",
            "00-0-0-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            &format!(
                "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-{:0300}",
                0
            ),
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
