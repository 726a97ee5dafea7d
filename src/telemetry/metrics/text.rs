//! The text of a scrape: Prometheus's format, or `OpenMetrics` for a client that asks for it.

use core::fmt::{self, Write as _};
use std::collections::BTreeMap;

use super::gauges::{CHECKED_ORDERS, Gauges};
use super::{BUCKETS_US, Counts, FAMILIES, Family, Kind, SEPARATOR};
use crate::domain::status::Status;

/// The formats of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// The format that the `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes a scrape. What could not be read is absent, and its dependency shown as down.
pub fn render(format: Format, counts: Option<&Counts>, gauges: Option<&Gauges>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, format, counts, gauges);
    text
}

fn write_all(
    text: &mut String,
    format: Format,
    counts: Option<&Counts>,
    gauges: Option<&Gauges>,
) -> fmt::Result {
    if let Some(counts) = counts {
        for family in FAMILIES {
            write_family(text, format, family, counts)?;
        }
    }
    if let Some(gauges) = gauges {
        write_gauges(text, gauges)?;
    }
    header(
        text,
        "dependency_up",
        "gauge",
        "Whether the dependency answered this scrape.",
    )?;
    for (name, up) in [("database", gauges.is_some()), ("redis", counts.is_some())] {
        writeln!(
            text,
            "dependency_up{{dependency=\"{name}\"}} {}",
            u8::from(up)
        )?;
    }
    if format == Format::OpenMetrics {
        writeln!(text, "# EOF")?;
    }
    Ok(())
}

fn header(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_family(text: &mut String, format: Format, family: Family, counts: &Counts) -> fmt::Result {
    let prefix = format!("{}{SEPARATOR}", family.name);
    let fields = counts.iter().filter_map(|(field, count)| {
        let labels = if field == family.name {
            ""
        } else {
            field.strip_prefix(&prefix)?
        };
        Some((labels, *count))
    });
    match family.kind {
        Kind::Counter => {
            let total = format!("{}_total", family.name);
            let named = if format == Format::OpenMetrics {
                family.name
            } else {
                &total
            };
            header(text, named, "counter", family.help)?;
            let mut none = true;
            for (labels, count) in fields {
                none = false;
                writeln!(text, "{total}{} {count}", braces(family, labels, None))?;
            }
            if none && family.labels.is_empty() {
                writeln!(text, "{total} 0")?;
            }
            Ok(())
        }
        Kind::Histogram => {
            header(text, family.name, "histogram", family.help)?;
            let mut series: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
            for (field, count) in fields {
                if let Some((labels, part)) = field.rsplit_once(SEPARATOR) {
                    series.entry(labels).or_default().insert(part, count);
                }
            }
            for (labels, parts) in series {
                write_histogram(text, family, labels, &parts)?;
            }
            Ok(())
        }
    }
}

fn write_histogram(
    text: &mut String,
    family: Family,
    labels: &str,
    parts: &BTreeMap<&str, i64>,
) -> fmt::Result {
    let name = family.name;
    let mut below: i64 = 0;
    let bounds = BUCKETS_US
        .iter()
        .map(|us| seconds(*us))
        .chain(["+Inf".to_owned()]);
    for (bucket, bound) in bounds.enumerate() {
        let count = parts
            .get(bucket.to_string().as_str())
            .copied()
            .unwrap_or_default();
        below = below.saturating_add(count);
        let braces = braces(family, labels, Some(&bound));
        writeln!(text, "{name}_bucket{braces} {below}")?;
    }
    let sum = parts
        .get("sum_us")
        .copied()
        .unwrap_or_default()
        .unsigned_abs();
    let braces = braces(family, labels, None);
    writeln!(
        text,
        "{name}_sum{braces} {}\n{name}_count{braces} {below}",
        seconds(sum)
    )
}

/// Microseconds as seconds, without floating point.
fn seconds(us: u64) -> String {
    const US_PER_S: u64 = 1_000_000;
    let (whole, rest) = (us.div_euclid(US_PER_S), us.rem_euclid(US_PER_S));
    let text = format!("{whole}.{rest:06}");
    let text = text.trim_end_matches('0');
    // OpenMetrics wants `1.0`, not `1.`.
    if text.ends_with('.') {
        format!("{text}0")
    } else {
        text.to_owned()
    }
}

/// The labels in braces; nothing if there are none.
fn braces(family: Family, values: &str, le: Option<&str>) -> String {
    let pairs = family.labels.iter().copied().zip(values.split(SEPARATOR));
    let pairs: Vec<_> = pairs
        .chain(le.map(|bound| ("le", bound)))
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(","))
    }
}

fn write_gauges(text: &mut String, gauges: &Gauges) -> fmt::Result {
    header(text, "orders", "gauge", "Orders by status.")?;
    for (status, count) in Status::ALL.iter().zip(&gauges.orders) {
        writeln!(text, "orders{{status=\"{status}\"}} {count}")?;
    }
    let name = "orders_oldest_pending_age_seconds";
    header(
        text,
        name,
        "gauge",
        "Age of the oldest pending order; 0 if there is none.",
    )?;
    writeln!(text, "{name} {}", gauges.oldest_pending_age_s)?;
    let name = "orders_total_mismatch";
    let help = format!(
        "Orders among the {CHECKED_ORDERS} newest whose total differs from their items; must be 0."
    );
    header(text, name, "gauge", &help)?;
    writeln!(text, "{name} {}", gauges.total_mismatches)?;
    let name = "database_connections";
    header(
        text,
        name,
        "gauge",
        "Connections of the service's role to its database.",
    )?;
    writeln!(text, "{name} {}", gauges.connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative() {
        let counts = Counts::from([
            (
                "product_service_request_duration_seconds|ok|0".to_owned(),
                2,
            ),
            (
                "product_service_request_duration_seconds|ok|13".to_owned(),
                1,
            ),
            (
                "product_service_request_duration_seconds|ok|sum_us".to_owned(),
                12_000_500,
            ),
        ]);
        let text = render(Format::OpenMetrics, Some(&counts), None);
        for line in [
            r#"product_service_request_duration_seconds_bucket{result="ok",le="0.001"} 2"#,
            r#"product_service_request_duration_seconds_bucket{result="ok",le="10.0"} 2"#,
            r#"product_service_request_duration_seconds_bucket{result="ok",le="+Inf"} 3"#,
            r#"product_service_request_duration_seconds_sum{result="ok"} 12.0005"#,
            r#"product_service_request_duration_seconds_count{result="ok"} 3"#,
            r#"dependency_up{dependency="database"} 0"#,
            "# TYPE orders_created counter",
            "orders_created_total 0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
