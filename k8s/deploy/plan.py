"""What a deployment will do to what runs: make, change, remove, and whether one kind of service
replaces the other."""

from dataclasses import dataclass, field

from kube import Forbidden, Kube
from objects import (NAME, NAMESPACE, PART, SERVICE, is_access, key, labels, name_of, of_kind, owner, stage,
                     title)

# Groups of resources that are not Kubernetes's own: what brings them, and where that is told.
BRINGERS = {
    "core.spinkube.dev/v1alpha1": "the SpinKube operator (docs/deployment.md#the-operator)",
    "traefik.io/v1alpha1": "Traefik (docs/deployment.md#k3s)",
    "http.keda.sh/v1alpha1": "KEDA's HTTP add-on (docs/deployment.md#scaling-from-zero)",
    "monitoring.coreos.com/v1": "the Prometheus operator (docs/deployment.md#monitoring)",
    "postgresql.cnpg.io/v1": "CloudNativePG (docs/deployment.md#postgres-on-three-boards)",
    "barmancloud.cnpg.io/v1": "the Barman Cloud plugin (docs/deployment.md#postgres-on-three-boards)",
}
# What one overlay has and another has not. Only the namespace `keda` has anything of ours but
# our own: the way in beside the interceptor.
OURS = {
    "ServiceAccount": "serviceaccounts", "Service": "services", "Deployment": "deployments.apps",
    "StatefulSet": "statefulsets.apps", "CronJob": "cronjobs.batch",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers.autoscaling",
    "Ingress": "ingresses.networking.k8s.io", "NetworkPolicy": "networkpolicies.networking.k8s.io",
    "PodDisruptionBudget": "poddisruptionbudgets.policy",
    "SpinApp": "spinapps.core.spinkube.dev", "SpinAppExecutor": "spinappexecutors.core.spinkube.dev",
    "Middleware": "middlewares.traefik.io", "HTTPScaledObject": "httpscaledobjects.http.keda.sh",
    "ServiceMonitor": "servicemonitors.monitoring.coreos.com",
    "PodMonitor": "podmonitors.monitoring.coreos.com",
    "PrometheusRule": "prometheusrules.monitoring.coreos.com",
    "Cluster": "clusters.postgresql.cnpg.io",
    "ScheduledBackup": "scheduledbackups.postgresql.cnpg.io",
    "ObjectStore": "objectstores.barmancloud.cnpg.io",
}
HOLDS_DATA = ("StatefulSet", "PersistentVolumeClaim", "Cluster", "ObjectStore")
# The copies of policies that a deployment makes for its time.
BEFORE = "order-service/before"


@dataclass
class Plan:
    make: list[dict] = field(default_factory=list)
    change: list[dict] = field(default_factory=list)
    remove: list[dict] = field(default_factory=list)
    # Not in the overlay, but with data, or with what belongs to it: left to a person.
    left: list[dict] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    # As they are now, of what is changed or removed.
    policies: list[dict] = field(default_factory=list)
    deployment: dict | None = None
    switch: bool = False

    def lines(self) -> list[str]:
        found = []
        for what, objects in (("make", self.make), ("change", self.change), ("remove", self.remove)):
            found += [f"    {what} {title(o)}" for o in objects]
        if self.switch:
            found.append(f"    replace the pods of {SERVICE} by those of another kind, with both serving")
        found += [f"    leave {title(o)}, which is not part of this overlay but holds data, or belongs to it"
                  for o in self.left]
        return found or ["    nothing to change"]


def known_kinds(kube: Kube) -> dict[str, set[str]]:
    return kube.kinds(list(BRINGERS))


def live_objects(kube: Kube, known: dict[str, set[str]]) -> list[dict]:
    """What is there of ours, as far as this user may see it."""
    custom = set().union(*known.values())
    names = [r for kind, r in OURS.items() if "." not in r or _is_builtin(r) or kind in custom]
    found = kube.get(",".join(names), "--selector", f"{PART}={NAMESPACE}")
    if "HTTPScaledObject" in custom:
        try:
            found += kube.get(OURS["Ingress"], "--selector", f"{PART}={NAMESPACE}", namespace="keda")
        except Forbidden:
            pass
    return found


def _is_builtin(resource: str) -> bool:
    return resource.partition(".")[2] in ("apps", "batch", "autoscaling", "policy", "networking.k8s.io")


def made(kube: Kube, wanted: list[dict], live: list[dict]) -> Plan:
    plan = Plan(deployment=kube.one("deployments.apps", SERVICE))
    there = {key(found): found for found in live}
    plan.switch = plan.deployment is not None and _selector(plan.deployment) != _selector_of(wanted)
    _remove(plan, wanted, live)
    # The Job is made anew each time; the rest is asked of the cluster itself.
    wanted = [found for found in wanted if not is_access(found) and stage(found) != "migrations"]
    there |= {key(found): found for found in _unlabelled(kube, wanted, there)}
    existing = [found for found in wanted if key(found) in there and not _is_replaced(plan, found)]
    plan.make = [found for found in wanted if key(found) not in there]
    becoming, plan.refused = kube.would_become(existing)
    plan.change = [o for o in becoming if _substance(o) != _substance(there[key(o)])]
    touched = {key(found) for found in [*plan.change, *plan.remove]}
    plan.policies = [found for found in of_kind(live, "NetworkPolicy") if key(found) in touched]
    return plan


def _unlabelled(kube: Kube, wanted: list[dict], there: dict) -> list[dict]:
    """Generated ConfigMaps and Secrets, and what has lost its label."""
    missing = [found for found in wanted if key(found) not in there]
    found = []
    for kind, resource in (("ConfigMap", "configmaps"), ("Secret", "secrets"), ("Service", "services")):
        names = [name_of(o) for o in of_kind(missing, kind)]
        if names:
            found += kube.get(resource, *names)
    return found


def _is_replaced(plan: Plan, found: dict) -> bool:
    return plan.switch and found["kind"] == "Deployment" and name_of(found) == SERVICE


def _selector_of(wanted: list[dict]) -> dict:
    """The selector of the service's Deployment; the operator makes it from the name."""
    for found in wanted:
        if found["kind"] == "Deployment" and name_of(found) == SERVICE:
            return _selector(found)
    return {"core.spinkube.dev/app-name": SERVICE, f"core.spinkube.dev/app.{SERVICE}.status": "ready"}


def _selector(deployment: dict) -> dict:
    return deployment["spec"]["selector"]["matchLabels"]


def _remove(plan: Plan, wanted: list[dict], live: list[dict]) -> None:
    kept = {key(found) for found in wanted}
    by_operator = {name_of(app) for app in of_kind(wanted, "SpinApp")}
    surplus = [
        found for found in live
        if key(found) not in kept and not owner(found) and not is_access(found)
        and BEFORE not in labels(found)
        # What the operator is about to take over.
        and not (found["kind"] in ("Deployment", "Service") and name_of(found) in by_operator)
    ]
    data = {labels(found).get(NAME) for found in surplus if found["kind"] in HOLDS_DATA}
    for found in surplus:
        belongs = found["kind"] in HOLDS_DATA or labels(found).get(NAME) in data
        (plan.left if belongs else plan.remove).append(found)


def _substance(found: dict) -> dict:
    """An object without what the cluster itself writes on it."""
    return {
        **{name: part for name, part in found.items() if name not in ("metadata", "status")},
        "labels": labels(found),
    }


def missing_kinds(wanted: list[dict], known: dict[str, set[str]]) -> list[str]:
    missing = {o["apiVersion"]: o["kind"] for o in wanted
               if o["apiVersion"] in known and o["kind"] not in known[o["apiVersion"]]}
    return [f"the cluster does not know {kind} ({version}): an administrator installs {BRINGERS[version]} first"
            for version, kind in sorted(missing.items())]

