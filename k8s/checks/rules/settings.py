"""The settings: spin.toml, the SpinApp or the Deployment, and what they are read from."""

import re
import tomllib
from functools import cache
from urllib.parse import urlsplit

from manifests import ROOT, example_secrets

PREFIX = "SPIN_VARIABLE_"


@cache
def manifest() -> dict:
    return tomllib.loads((ROOT / "spin.toml").read_text())


@cache
def routes() -> set[str]:
    """The paths in the service's table of URLs."""
    return set(re.findall(r'"(/[^"\s]*)"', (ROOT / "src/routes.rs").read_text()))


def _api(cluster):
    return cluster.selected({"app.kubernetes.io/name": "order-service"})


def variables_are_those_of_the_manifest(cluster):
    declared = manifest()["variables"]
    for pod in _api(cluster):
        env = [e for e in pod.spec["containers"][0]["env"] if e["name"].startswith(PREFIX)]
        names = [entry["name"].removeprefix(PREFIX).lower() for entry in env]
        for name in sorted(set(declared) - set(names)):
            yield f"spin.toml declares {name}, which {pod.owner} does not set"
        for name in sorted(set(names) - set(declared)):
            yield f"{pod.owner} sets {name}, which spin.toml does not declare"
        for name in sorted({n for n in names if names.count(n) > 1}):
            yield f"{pod.owner} sets {name} twice"
        for name, entry in zip(names, env):
            source = entry.get("valueFrom", {})
            secret = declared.get(name, {}).get("secret", False)
            wanted = "secretKeyRef" if secret else "configMapKeyRef"
            if wanted not in source:
                yield f"{name} must come from a {'Secret' if secret else 'ConfigMap'}"
            elif source[wanted]["key"] != name:
                yield f"{name} is read from the key {source[wanted]['key']}"
    for config in cluster.of("ConfigMap"):
        if "product_service_url" in config.get("data", {}):
            for name in sorted(set(config["data"]) - set(declared)):
                yield f"the ConfigMap has the key {name}, which spin.toml does not declare"


def hosts_agree_with_urls(cluster):
    """database_host and redis_host are those of the URLs that scripts/secrets makes."""
    instead = None
    if cluster.get("Deployment", "order-pgbouncer"):
        instead = "order-pgbouncer:5432"
    elif cluster.get("Cluster", "order-database"):
        instead = "order-database-rw:5432"
    for config in cluster.of("ConfigMap"):
        data = config.get("data", {})
        if "product_service_url" not in data:
            continue
        read_host = "order-database-ro:5432"
        if cluster.get("Cluster", "order-database") and data.get("database_read_host") != read_host:
            yield f"database_read_host is {data.get('database_read_host')}, but the standbys answer at {read_host}"
        for what in ("database", "redis"):
            if what == "database" and instead:
                host = instead
            else:
                host = urlsplit(example_secrets()["order-service"][f"{what}_url"]).netloc.split("@")[1]
            if data.get(f"{what}_host") != host:
                yield f"{what}_host is {data.get(f'{what}_host')}, but {what}_url names {host}"


def probes_are_routes(cluster):
    for pod in _api(cluster):
        container = pod.spec["containers"][0]
        for probe, path in (("liveness", "/health"), ("readiness", "/ready")):
            get = container.get(f"{probe}Probe", {}).get("httpGet", {})
            if get.get("path") != path:
                yield f"{pod.owner}: {probe} asks {get.get('path')} instead of {path}"
            if get.get("path") not in routes():
                yield f"{pod.owner}: {probe} asks {get.get('path')}, which is no route"
            if get and pod.port(get["port"]) is None:
                yield f"{pod.owner}: {probe} asks port {get['port']}, which does not listen"
    for monitor in cluster.of("ServiceMonitor"):
        if monitor["metadata"]["name"] == "order-service":
            for endpoint in monitor["spec"]["endpoints"]:
                if endpoint["path"] not in routes():
                    yield f"Prometheus reads {endpoint['path']}, which is no route"
    for ingress in cluster.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                whole = path["pathType"] == "Exact"
                known = any(r == path["path"] if whole else f"{r}/".startswith(path["path"] + "/")
                            for r in routes())
                if not known:
                    yield f"the Ingress lets {path['path']} in, which is no route"
                if path["path"] in ("/", "/metrics", "/ready"):
                    yield f"the Ingress shows {path['path']} to the outside"


def runtime_config_is_the_same(cluster):
    """k8s/base has a copy, because kustomize reads no files outside of its folder."""
    original = (ROOT / "runtime-config.toml").read_text()
    if (ROOT / "k8s/base/runtime-config.toml").read_text() != original:
        yield "k8s/base/runtime-config.toml differs from runtime-config.toml"
    memory = str(tomllib.loads(original)["max_instance_memory"])
    for app in cluster.of("SpinApp"):
        limit = app["spec"].get("invocationLimits", {}).get("memory", "")
        if limit != f"{int(memory) // 2**20}Mi":
            yield f"invocationLimits.memory is {limit}, runtime-config.toml says {memory} bytes"
    for pod in _api(cluster):
        for entry in pod.spec["containers"][0]["env"]:
            if entry["name"] == "SPIN_MAX_INSTANCE_MEMORY" and entry["value"] != memory:
                yield f"SPIN_MAX_INSTANCE_MEMORY is {entry['value']}, not {memory}"
        if not any("secret" in v for v in pod.spec.get("volumes", [])):
            yield f"{pod.owner} does not read runtime-config.toml"
