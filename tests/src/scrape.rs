//! What `/metrics` says, as numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::Client;

/// One scrape. That the text is well-formed is checked by `scripts/check-observability`, with
/// the parser of Prometheus's own client library.
#[derive(Debug, Clone)]
pub struct Scrape {
    pub text: String,
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Scrape {
    /// # Panics
    /// When there is no scrape.
    pub async fn of(api: &Client) -> Self {
        let reply = api.get("/metrics").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Self::parse(reply.text())
    }

    /// # Panics
    /// When a line is no sample.
    #[must_use]
    pub fn parse(text: String) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let samples = lines
            .map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}")))
            .collect();
        Self { text, samples }
    }

    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The sum over all series of this name that have these labels, 0 if there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            let label = |name: &str| sample.labels.get(name).map(String::as_str);
            sample.name == name
                && labels
                    .iter()
                    .all(|(name, value)| label(name) == Some(value))
        };
        self.samples
            .iter()
            .filter(has)
            .map(|sample| sample.value)
            .sum()
    }

    /// The names of all samples, and the labels that each may have.
    #[must_use]
    pub fn labels_by_name(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in &self.samples {
            let labels = found.entry(sample.name.clone()).or_default();
            labels.extend(sample.labels.keys().cloned());
        }
        found
    }
}

/// `name{label="value",…} 1.5`; the service's label values hold no quotes and no commas.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    let labels = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(Sample {
        name: name.to_owned(),
        labels: labels.collect::<Option<_>>()?,
        value: value.parse().ok()?,
    })
}
