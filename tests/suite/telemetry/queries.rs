//! The queries of the dashboard and of the alerts ask for what `/metrics` has.

use std::collections::{BTreeMap, BTreeSet};

use order_service_tests::environment::repository;
use order_service_tests::scrape::Scrape;
use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use serde_json::Value;

/// What Prometheus and its operator put on every series.
const ADDED_LABELS: [&str; 3] = ["job", "instance", "pod"];

/// What the kubelet tells of every container, and the labels by which the alerts ask for it.
const CONTAINERS: [&str; 2] = [
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
];
const CONTAINER_LABELS: [&str; 3] = ["namespace", "pod", "container"];

/// What kube-state-metrics tells of every CronJob.
const CRON_JOBS: [&str; 2] = [
    "kube_cronjob_status_last_successful_time",
    "kube_cronjob_created",
];
const CRON_JOB_LABELS: [&str; 2] = ["namespace", "cronjob"];

/// A query, and where it is.
type Query = (String, String);

fn dashboard() -> Value {
    let path = repository().join("k8s/components/monitoring/dashboard.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn rules() -> Vec<Value> {
    let path = repository().join("k8s/components/monitoring/rules.yaml");
    let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let groups = rules["spec"]["groups"].as_array().unwrap().clone();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone());
    rules.collect()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a text: {value}"))
        .to_owned()
}

/// The queries of all panels, with values for Grafana's variables.
fn dashboard_queries() -> Vec<Query> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .map(|target| (text(&panel["title"]), target))
    });
    let queries = targets.map(|(title, target)| {
        let query = text(&target["expr"]);
        let query = query
            .replace("$__rate_interval", "5m")
            .replace("$job", "order-service");
        (format!("panel {title:?}"), query)
    });
    queries.collect()
}

fn rule_queries() -> Vec<Query> {
    let name = |rule: &Value| text(rule.get("alert").unwrap_or(&rule["record"]));
    rules()
        .iter()
        .map(|rule| (name(rule), text(&rule["expr"])))
        .collect()
}

/// Names of all series there are, with their labels: the service's, those that the rules record,
/// the kubelet's, kube-state-metrics' and Prometheus's own.
async fn known() -> BTreeMap<String, BTreeSet<String>> {
    let app = super::metrics::a_busy_app().await;
    let mut known = Scrape::of(&app.api).await.labels_by_name();
    let recorded = rules()
        .iter()
        .filter_map(|rule| rule["record"].as_str().map(str::to_owned))
        .collect::<Vec<_>>();
    known.extend(recorded.into_iter().map(|name| (name, BTreeSet::new())));
    known.insert("up".to_owned(), BTreeSet::new());
    let containers = CONTAINER_LABELS.map(str::to_owned);
    known.extend(CONTAINERS.map(|name| (name.to_owned(), containers.clone().into())));
    let cron_jobs = CRON_JOB_LABELS.map(str::to_owned);
    known.extend(CRON_JOBS.map(|name| (name.to_owned(), cron_jobs.clone().into())));
    for labels in known.values_mut() {
        labels.extend(ADDED_LABELS.map(str::to_owned));
    }
    known
}

#[tokio::test]
async fn every_query_parses_and_names_what_the_service_has() {
    let known = known().await;
    let queries = [dashboard_queries(), rule_queries()].concat();
    assert!(queries.len() > 40, "{}", queries.len());

    let problems: Vec<String> = queries
        .iter()
        .flat_map(|(place, query)| {
            let problems = match parser::parse(query) {
                Ok(expression) => problems(&expression, &known),
                Err(error) => vec![error],
            };
            problems
                .into_iter()
                .map(move |problem| format!("{place}: {problem} in {query}"))
        })
        .collect();

    assert_eq!(problems, [""; 0]);
}

#[tokio::test]
async fn a_query_for_what_is_not_there_is_found() {
    let known = known().await;
    for (query, problem) in [
        ("rate(http_requests_total[5m])", "http_requests_total"),
        ("orders{state=\"pending\"}", "state"),
        (
            "sum by (route) (http_server_request_duration_seconds_count)",
            "route",
        ),
        (
            "sum(orders) + max by (product) (orders_created_total)",
            "product",
        ),
        ("sum(rate(orders_created_total[5m]) > 0)) ", "parse"),
    ] {
        let found = match parser::parse(query) {
            Ok(expression) => problems(&expression, &known),
            Err(_) => vec!["does not parse".to_owned()],
        };
        assert!(
            found.iter().any(|found| found.contains(problem)),
            "{query}: {found:?}"
        );
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let runbook = std::fs::read_to_string(repository().join("docs/runbook.md")).unwrap();
    let headings: BTreeSet<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|heading| format!("docs/runbook.md#{}", heading.trim().to_lowercase()))
        .collect();
    let alerts: Vec<Value> = rules()
        .into_iter()
        .filter(|rule| rule.get("alert").is_some())
        .collect();
    assert!(alerts.len() >= 7, "{}", alerts.len());

    for alert in alerts {
        let annotations = &alert["annotations"];
        let link = text(&annotations["runbook"]);
        assert!(
            headings.contains(&link),
            "no section for {link}: {headings:?}"
        );
        assert!(
            link.ends_with(&text(&alert["alert"]).to_lowercase()),
            "{alert}"
        );
        assert!(
            !text(&annotations["summary"]).is_empty()
                && !text(&annotations["description"]).is_empty()
        );
        let severity = text(&alert["labels"]["severity"]);
        assert!(
            ["critical", "warning"].contains(&severity.as_str()),
            "{severity}"
        );
    }
}

#[test]
fn the_dashboard_shows_everything_that_is_asked_of_it() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<String> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| text(&row["title"]))
        .collect();
    assert_eq!(
        rows,
        [
            "Now",
            "Traffic and errors",
            "Latency",
            "Cache and product service",
            "Orders"
        ]
    );

    let ids: BTreeSet<u64> = panels
        .iter()
        .filter_map(|panel| panel["id"].as_u64())
        .collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
    }
}

/// Names and labels in an expression that do not exist.
fn problems(expression: &Expr, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut available = BTreeSet::new();
    let mut wanted = Vec::new();
    visit(expression, &mut |part| match part {
        Part::Selector(selector) => {
            let name = selector.name.clone().unwrap_or_default();
            let Some(labels) = known.get(&name) else {
                problems.push(format!("no metric {name:?}"));
                return;
            };
            available.extend(labels.iter().cloned());
            for label in matched(&selector.matchers).filter(|label| !labels.contains(label)) {
                problems.push(format!("{name} has no label {label:?}"));
            }
        }
        Part::Labels(labels) => wanted.extend(labels),
    });
    let missing = wanted
        .into_iter()
        .filter(|label| !available.contains(label));
    problems.extend(missing.map(|label| format!("no label {label:?}")));
    problems
}

fn matched(matchers: &Matchers) -> impl Iterator<Item = String> {
    matchers.matchers.iter().map(|matcher| matcher.name.clone())
}

/// What of an expression is looked at.
enum Part<'a> {
    Selector(&'a VectorSelector),
    Labels(Vec<String>),
}

fn visit<'a>(expression: &'a Expr, look: &mut impl FnMut(Part<'a>)) {
    let grouping = |modifier: &Option<LabelModifier>| match modifier {
        Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) => {
            labels.labels.clone()
        }
        None => Vec::new(),
    };
    match expression {
        Expr::Aggregate(aggregate) => {
            look(Part::Labels(grouping(&aggregate.modifier)));
            visit(&aggregate.expr, look);
        }
        Expr::Unary(unary) => visit(&unary.expr, look),
        Expr::Binary(binary) => {
            let matching = binary
                .modifier
                .as_ref()
                .and_then(|modifier| modifier.matching.clone());
            look(Part::Labels(grouping(&matching)));
            visit(&binary.lhs, look);
            visit(&binary.rhs, look);
        }
        Expr::Paren(paren) => visit(&paren.expr, look),
        Expr::Subquery(subquery) => visit(&subquery.expr, look),
        Expr::VectorSelector(selector) => look(Part::Selector(selector)),
        Expr::MatrixSelector(matrix) => look(Part::Selector(&matrix.vs)),
        Expr::Call(call) => call
            .args
            .args
            .iter()
            .for_each(|argument| visit(argument, look)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
        Expr::Extension(_) => panic!("an extension of PromQL"),
    }
}
