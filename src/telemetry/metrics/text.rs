//! The text of a scrape: Prometheus's format, or `OpenMetrics` for a client that asks for it.

use core::fmt::{self, Write as _};
use std::collections::BTreeMap;

use super::Counts;
use super::families::{BUCKETS_US, FAMILIES, Family, Kind, SEPARATOR};
use super::gauges::{GAUGES, Gauges};
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
    let name = "dependency_up";
    let help = "Whether the dependency answered this scrape.";
    header(text, name, "gauge", help)?;
    for (dependency, up) in [("database", gauges.is_some()), ("redis", counts.is_some())] {
        let up = u8::from(up);
        writeln!(text, "{name}{{dependency=\"{dependency}\"}} {up}")?;
    }
    if format == Format::OpenMetrics {
        writeln!(text, "# EOF")?;
    }
    Ok(())
}

fn header(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_family(
    text: &mut String,
    format: Format,
    family: &Family,
    counts: &Counts,
) -> fmt::Result {
    let fields = counts.iter().filter_map(|(field, count)| {
        let (name, labels) = field.split_once(SEPARATOR).unwrap_or((field, ""));
        (name == family.name).then_some((labels, *count))
    });
    match family.kind {
        Kind::Counter => {
            let total = format!("{}_total", family.name);
            let named = match format {
                Format::OpenMetrics => family.name,
                Format::Prometheus => &total,
            };
            header(text, named, "counter", family.help)?;
            let mut fields = fields.peekable();
            if fields.peek().is_none() && family.labels.is_empty() {
                writeln!(text, "{total} 0")?;
            }
            for (labels, count) in fields {
                writeln!(text, "{total}{} {count}", braces(family, labels, None))?;
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
    family: &Family,
    labels: &str,
    parts: &BTreeMap<&str, i64>,
) -> fmt::Result {
    let name = family.name;
    let part = |part: &str| parts.get(part).copied().unwrap_or_default();
    let mut below: i64 = 0;
    let bounds = BUCKETS_US.iter().map(|us| seconds(*us));
    for (bucket, bound) in bounds.chain(["+Inf".to_owned()]).enumerate() {
        below = below.saturating_add(part(&bucket.to_string()));
        let braces = braces(family, labels, Some(&bound));
        writeln!(text, "{name}_bucket{braces} {below}")?;
    }
    let sum = seconds(part("sum_us").unsigned_abs());
    let braces = braces(family, labels, None);
    writeln!(
        text,
        "{name}_sum{braces} {sum}\n{name}_count{braces} {below}"
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
fn braces(family: &Family, values: &str, le: Option<&str>) -> String {
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
    for ((name, help, _), number) in GAUGES.iter().zip(&gauges.numbers) {
        header(text, name, "gauge", help)?;
        writeln!(text, "{name} {number}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative() {
        let counts = [("ok|0", 2), ("ok|13", 1), ("ok|sum_us", 12_000_500)];
        let counts = counts.map(|(field, count)| {
            let name = "product_service_request_duration_seconds";
            (format!("{name}|{field}"), count)
        });
        let counts = Counts::from(counts);
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
            let found = text.lines().any(|found| found == line);
            assert!(found, "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
