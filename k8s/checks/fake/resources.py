"""What resources there are, and what the API server checks of each."""

import base64

from fake.store import Refusal

# resource: (apiVersion, kind, namespaced)
BUILT_IN = {
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "pods": ("v1", "Pod", True),
    "events": ("v1", "Event", True),
    "services": ("v1", "Service", True),
    "secrets": ("v1", "Secret", True),
    "configmaps": ("v1", "ConfigMap", True),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim", True),
    "persistentvolumes": ("v1", "PersistentVolume", False),
    "deployments": ("apps/v1", "Deployment", True),
    "replicasets": ("apps/v1", "ReplicaSet", True),
    "statefulsets": ("apps/v1", "StatefulSet", True),
    "jobs": ("batch/v1", "Job", True),
    "cronjobs": ("batch/v1", "CronJob", True),
    "horizontalpodautoscalers": ("autoscaling/v2", "HorizontalPodAutoscaler", True),
    "ingresses": ("networking.k8s.io/v1", "Ingress", True),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy", True),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget", True),
    "runtimeclasses": ("node.k8s.io/v1", "RuntimeClass", False),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", True),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", True),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", False),
    "customresourcedefinitions": ("apiextensions.k8s.io/v1", "CustomResourceDefinition", False),
}
# What comes with other systems.
BROUGHT = {
    "k3s": {"middlewares": ("traefik.io/v1alpha1", "Middleware", True)},
    "cert-manager": {"certificates": ("cert-manager.io/v1", "Certificate", True)},
    "spin-operator": {
        "spinapps": ("core.spinkube.dev/v1alpha1", "SpinApp", True),
        "spinappexecutors": ("core.spinkube.dev/v1alpha1", "SpinAppExecutor", True),
    },
    "keda": {},
    "http-add-on": {"httpscaledobjects": ("http.keda.sh/v1alpha1", "HTTPScaledObject", True)},
    "prometheus": {
        "servicemonitors": ("monitoring.coreos.com/v1", "ServiceMonitor", True),
        "podmonitors": ("monitoring.coreos.com/v1", "PodMonitor", True),
        "prometheusrules": ("monitoring.coreos.com/v1", "PrometheusRule", True),
    },
    "cnpg": {
        "clusters": ("postgresql.cnpg.io/v1", "Cluster", True),
        "scheduledbackups": ("postgresql.cnpg.io/v1", "ScheduledBackup", True),
        "backups": ("postgresql.cnpg.io/v1", "Backup", True),
    },
    "plugin-barman-cloud": {"objectstores": ("barmancloud.cnpg.io/v1", "ObjectStore", True)},
}


def check(resource: str, before: dict | None, after: dict) -> None:
    """What the API server says of an object; the words are Kubernetes's."""
    kind, name = after.get("kind"), after["metadata"]["name"]
    problems = []
    if before:
        for where, said in _immutable(resource):
            old, new = _at(before, where), _at(after, where)
            if old != new:
                problems.append((where, said if "Forbidden" in said else f"Invalid value: {new}: {said}"))
    for container in _containers(after):
        names = [port.get("name") for port in container.get("ports", [])]
        for name_twice in {n for n in names if n and names.count(n) > 1}:
            number = len(names) - 1 - names[::-1].index(name_twice)
            problems.append((f"spec.template.spec.containers[0].ports[{number}].name",
                             f'Duplicate value: "{name_twice}"'))
    if problems:
        listed = ", ".join(f"{where}: {said}" for where, said in problems)
        causes = [{"field": where, "message": said} for where, said in problems]
        raise Refusal(422, "Invalid", f'{kind}.{after["apiVersion"].partition("/")[0]} "{name}" is invalid: {listed}',
                      {"name": name, "kind": kind, "causes": causes})


def _immutable(resource: str):
    return {
        "deployments": [("spec.selector", "field is immutable")],
        "replicasets": [("spec.selector", "field is immutable")],
        "jobs": [("spec.template", "field is immutable")],
        "statefulsets": [("spec.volumeClaimTemplates", "Forbidden: updates to statefulset spec for fields other "
                          "than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                          "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")],
    }.get(resource, [])


def _at(found: dict, where: str):
    for part in where.split("."):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return found


def _containers(found: dict) -> list[dict]:
    spec = found.get("spec", {}).get("template", {}).get("spec", {})
    return spec.get("containers", []) if isinstance(spec, dict) else []


def default(resource: str, found: dict) -> None:
    """The defaults that decide anything here."""
    if resource == "deployments":
        found["spec"].setdefault("replicas", 1)
    if resource == "statefulsets":
        found["spec"].setdefault("updateStrategy", {"type": "RollingUpdate"})
    if resource == "secrets" and "stringData" in found:
        made = {k: base64.b64encode(v.encode()).decode() for k, v in found.pop("stringData").items()}
        found["data"] = found.get("data", {}) | made


def violations(pod: dict, level: str) -> list[str]:
    """Of a pod security standard, as far as the pods here differ: the operator's have no context."""
    if level != "restricted":
        return []
    found = []
    context = pod["spec"].get("securityContext", {})
    for container in pod["spec"]["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f'allowPrivilegeEscalation != false (container "{container["name"]}" must set '
                         "securityContext.allowPrivilegeEscalation=false)")
        if (context | own).get("runAsNonRoot") is not True:
            found.append(f'runAsNonRoot != true (pod or container "{container["name"]}" must set '
                         "securityContext.runAsNonRoot=true)")
    return found
