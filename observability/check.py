"""What the tests in Rust cannot ask of a library: that /metrics is what Prometheus's own client
library understands, strictly, and that the dashboard is one by Grafana's own types.

Run by scripts/check-observability with the two scrapes that the suite has left behind."""

import json
import re
import sys
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard
from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as openmetrics

ROOT = Path(__file__).resolve().parents[1]
MONITORING = ROOT / "k8s/components/monitoring"

# Units that the end of a name may stand for; every other name is of things that are counted.
BASE_UNITS = ("seconds", "bytes", "ratio")
ODD_UNITS = re.compile(r"_(ms|milliseconds|us|micros|minutes|hours|kib|mib|kb|mb|percent)(_|$)")
# What counts only where it is switched on, which the service of the scrapes is not.
OFF_BY_DEFAULT = {"authentications", "rate_limit_checks", "replica_reads"}


def families(path: Path) -> dict:
    text = path.read_text()
    parse = openmetrics if path.suffix == ".openmetrics" else plain
    found = {}
    for family in parse.text_string_to_metric_families(text):
        if family.name in found:
            raise ValueError(f"{family.name} comes twice")
        found[family.name] = family
    return found


def metric_problems(path: Path):
    found = families(path)
    if len(found) < 10:
        yield f"{path.name}: only {len(found)} families"
    series = set()
    for name, family in found.items():
        if not family.documentation or family.type in ("unknown", "untyped"):
            yield f"{path.name}: {name} has no HELP or no TYPE"
        if ODD_UNITS.search(name):
            yield f"{path.name}: {name} is not in a base unit"
        if family.type == "histogram" and not name.endswith(BASE_UNITS):
            yield f"{path.name}: {name} is a histogram without a unit"
        if not family.samples and name not in OFF_BY_DEFAULT:
            yield f"{path.name}: {name} has no samples"
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in series:
                yield f"{path.name}: {key} comes twice"
            series.add(key)


def dashboard_problems(path: Path):
    """The dashboard read into Grafana's types and written again must not lose anything."""
    plugins.register_default_plugins()
    written = json.loads(path.read_text())
    typed = dashboard.Dashboard.from_json(written)
    yield from lost(written, json.loads(json.dumps(typed, cls=JSONEncoder)), path.name)


def lost(before, after, where: str):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{where}/{key}")
            else:
                yield f"{where}: Grafana knows no {key!r}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (left, right) in enumerate(zip(before, after)):
            yield from lost(left, right, f"{where}/{number}")
    elif before != after:
        yield f"{where}: {before!r} is read as {after!r}"


def compose_problems():
    """compose.yaml and what it mounts are YAML, and every mounted file is there."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not (ROOT / source).exists():
                yield f"compose.yaml: {name} mounts {source}, which does not exist"
    for path in sorted((ROOT / "observability").rglob("*.yaml")):
        yaml.safe_load(path.read_text())
    collector = yaml.safe_load((ROOT / "k8s/base/collector-config.yaml").read_text())
    for name, pipeline in collector["service"]["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            for part in pipeline.get(kind, []):
                if part not in collector.get(kind, {}):
                    yield f"collector-config.yaml: {name} uses {part}, which is not among the {kind}"


def main(scrapes: Path) -> int:
    problems = [
        *metric_problems(scrapes / "metrics.txt"),
        *metric_problems(scrapes / "metrics.openmetrics"),
        *dashboard_problems(MONITORING / "dashboard.json"),
        *compose_problems(),
    ]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
