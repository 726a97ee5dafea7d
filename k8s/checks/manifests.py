"""The rendered objects of an overlay, and questions about them."""

import copy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "order-service"
APP_LABEL = "core.spinkube.dev/app-name"

# The overlays that can be deployed, and the base, which needs Postgres and Redis elsewhere.
OVERLAYS = ["overlays/k3s-arm64", "overlays/deployment", "overlays/autoscale", "overlays/cloudnativepg"]
ALL = ["base", *OVERLAYS]


def kubectl() -> str:
    """The kubectl beside this Python (requirements.txt), else the one on PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl") or "kubectl"


@cache
def _rendered(path: str) -> list[dict]:
    command = [kubectl(), "kustomize", str(ROOT / "k8s" / path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"k8s/{path} does not build: {done.stderr.strip()}")
    if done.stderr.strip():
        raise AssertionError(f"k8s/{path} builds with warnings: {done.stderr.strip()}")
    return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]


def build(path: str) -> list[dict]:
    """The objects of an overlay; the caller may spoil them."""
    return copy.deepcopy(_rendered(path))


@dataclass
class Pod:
    """A pod template: where it stands, its labels, and its spec."""

    owner: str
    namespace: str
    labels: dict
    spec: dict
    by_operator: bool = False

    def is_of_the_database(self) -> bool:
        """Instances of Postgres, which ask the Kubernetes API who of them is the primary."""
        return self.owner.startswith("Instances ")

    def containers(self) -> list[dict]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def port(self, wanted) -> int | None:
        """The number of a container port that is given by number or name."""
        for container in self.spec["containers"]:
            for port in container.get("ports", []):
                if wanted in (port["containerPort"], port.get("name")):
                    return port["containerPort"]
        return None


class Cluster:
    """The objects of one overlay, with what the operators make from them added."""

    def __init__(self, objects: list[dict], external: frozenset[str] = frozenset()):
        self.written = objects
        self.external = external  # names of pods that another system provides
        self.objects = copy.deepcopy(objects)
        for app in self.of("SpinApp"):
            self.objects += operator_makes(app, self.of("SpinAppExecutor"))
        for database in self.of("Cluster"):
            self.objects += cloudnativepg_makes(database)

    def of(self, kind: str) -> list[dict]:
        return [found for found in self.objects if found["kind"] == kind]

    def get(self, kind: str, name: str, namespace: str | None = NAMESPACE) -> dict | None:
        for found in self.of(kind):
            meta = found["metadata"]
            if meta["name"] == name and meta.get("namespace") == namespace:
                return found
        return None

    def pods(self) -> list[Pod]:
        found = []
        for owner in self.objects:
            template = owner.get("spec", {}).get("template")
            if owner["kind"] == "CronJob":
                template = owner["spec"]["jobTemplate"]["spec"]["template"]
            if owner["kind"] not in ("Deployment", "StatefulSet", "Job", "CronJob", "Instances"):
                continue
            found.append(
                Pod(
                    owner=f"{owner['kind']} {owner['metadata']['name']}",
                    namespace=owner["metadata"]["namespace"],
                    labels=template["metadata"]["labels"],
                    spec=template["spec"],
                    by_operator=owner.get("byOperator", False),
                )
            )
        return found

    def selected(self, selector: dict, namespace: str = NAMESPACE) -> list[Pod]:
        wanted = selector.get("matchLabels", selector)
        return [
            pod
            for pod in self.pods()
            if pod.namespace == namespace and wanted.items() <= pod.labels.items()
        ]


def operator_makes(app: dict, executors: list[dict]) -> list[dict]:
    """The Deployment and the Service that spin-operator 0.6 makes from a SpinApp."""
    spec, name = app["spec"], app["metadata"]["name"]
    namespace = app["metadata"]["namespace"]
    config = next(
        (e["spec"].get("deploymentConfig", {}) for e in executors
         if e["metadata"]["name"] == spec.get("executor")),
        {},
    )
    ready = {f"core.spinkube.dev/app.{name}.status": "ready"}
    env = [
        {"name": f"SPIN_VARIABLE_{v['name'].upper()}", **{k: v[k] for k in v if k != "name"}}
        for v in spec.get("variables", [])
    ]
    otel = config.get("otel", {}).get("exporter_otlp_endpoint")
    if otel:
        env.append({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": otel})
    container = {
        "name": name,
        "image": spec.get("image", ""),
        "ports": [{"name": "http-app", "containerPort": 80}],
        "env": env,
        "resources": spec.get("resources", {}),
    }
    for probe, check in spec.get("checks", {}).items():
        container[f"{probe}Probe"] = {"httpGet": {**check["httpGet"], "port": "http-app"}}
    volumes = []
    secret = spec.get("runtimeConfig", {}).get("loadFromSecret")
    if secret:
        items = [{"key": "runtime-config.toml", "path": "runtime-config.toml"}]
        volumes.append({"name": "spin-runtime-config",
                        "secret": {"secretName": secret, "items": items}})
    labels = {APP_LABEL: name}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "byOperator": True,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": {**labels, **ready}},
            "template": {
                "metadata": {"labels": {**spec.get("podLabels", {}), **labels, **ready}},
                "spec": {
                    "runtimeClassName": config.get("runtimeClassName"),
                    "serviceAccountName": spec.get("serviceAccountName", "default"),
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "byOperator": True,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"selector": ready, "ports": [{"port": 80, "targetPort": "http-app"}]},
    }
    return [deployment, service]


def cloudnativepg_makes(database: dict) -> list[dict]:
    """What CloudNativePG makes from a Cluster, as far as the rules ask for it: the instances,
    as the one workload that they are for others, their account and their Services."""
    spec, name = database["spec"], database["metadata"]["name"]
    meta = {"name": name, "namespace": database["metadata"]["namespace"]}
    labels = {**spec["inheritedMetadata"]["labels"], "cnpg.io/cluster": name}
    ports = [("postgresql", 5432), ("metrics", 9187), ("status", 8000)]
    context = {"runAsNonRoot": True, "runAsUser": 26, "runAsGroup": 26,
               "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "postgres",
        "image": spec["imageName"],
        "ports": [{"name": n, "containerPort": number} for n, number in ports],
        "resources": spec.get("resources", {}),
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}},
    }
    instances = {
        "kind": "Instances",
        "metadata": meta,
        "spec": {"template": {
            "metadata": {"labels": labels},
            "spec": {"serviceAccountName": name, "securityContext": context,
                     "containers": [container]},
        }},
    }
    services = [
        {"kind": "Service", "metadata": {**meta, "name": f"{name}-{end}"},
         "spec": {"selector": labels, "ports": [{"port": 5432, "targetPort": 5432}]}}
        for end in ("rw", "ro", "r")
    ]
    return [instances, *services]


def cluster(path: str) -> Cluster:
    external = frozenset({"order-postgres", "order-redis"}) if path == "base" else frozenset()
    return Cluster(build(path), external)


@cache
def example_secrets() -> dict[str, dict]:
    """The Secrets that scripts/secrets makes: name → keys and values of the example."""
    text = (ROOT / "k8s/base/secret.example.yaml").read_text()
    return {s["metadata"]["name"]: s["stringData"] for s in yaml.safe_load_all(text)}
