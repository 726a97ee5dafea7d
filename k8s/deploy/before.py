"""What must be so before anything is changed. Each function gives the reasons why not, each with
what mends it."""

import base64
import re
from urllib.parse import urlsplit

from kube import Forbidden, Kube
from objects import NAMESPACE, name_of, of_kind
from plan import Plan

LEVELS = ["privileged", "baseline", "restricted"]
ENFORCE = "pod-security.kubernetes.io/enforce"


def namespaces(kube: Kube, wanted: list[dict], overlay: str) -> list[str]:
    """They are there, and let the pods of this overlay in; so is the runtime class."""
    mend = f"an administrator runs: make cluster OVERLAY={overlay}"
    found = []
    needed = {NAMESPACE} | {o["metadata"]["namespace"] for o in wanted if "namespace" in o["metadata"]}
    for name in sorted(needed):
        try:
            namespace = kube.one("namespaces", name, namespace=None)
        except Forbidden:
            namespace = None
        if namespace is None:
            found.append(f"the namespace {name} is missing, or not for you to see; {mend}")
        elif name == NAMESPACE:
            level, needs = enforced(namespace), enforced(of_kind(wanted, "Namespace")[0])
            if LEVELS.index(level) > LEVELS.index(needs):
                found.append(f"the namespace {name} enforces {level}, which refuses the pods of {overlay} "
                             f"({needs}); {mend}")
    if found:
        return found
    for wanted_class in of_kind(wanted, "RuntimeClass"):
        if kube.one("runtimeclasses.node.k8s.io", name_of(wanted_class), namespace=None) is None:
            found.append(f"the runtime class {name_of(wanted_class)} is missing; {mend}")
    return found


def enforced(namespace: dict) -> str:
    return namespace["metadata"].get("labels", {}).get(ENFORCE, "privileged")


def secrets(kube: Kube, wanted: list[dict]) -> list[str]:
    """Every Secret that a pod will read has the keys that it reads, and URLs of the right hosts."""
    needed = needed_secrets(wanted)
    held = {name_of(s): s.get("data", {}) for s in kube.get("secrets", *sorted(needed))} if needed else {}
    found = []
    for name, keys in sorted(needed.items()):
        if name not in held:
            found.append(f"the Secret {name} is missing: see docs/deployment.md, 'Secrets'")
        elif not keys <= held[name].keys():
            lacking = ", ".join(sorted(keys - held[name].keys()))
            found.append(f"the Secret {name} has no {lacking}: see docs/deployment.md, 'Secrets'")
    return found or hosts(wanted, held.get("order-service", {}))


def hosts(wanted: list[dict], held: dict) -> list[str]:
    """The component may connect to nothing but the hosts of the ConfigMap."""
    settings = next((c["data"] for c in of_kind(wanted, "ConfigMap") if "database_host" in c.get("data", {})), {})
    found = []
    for what in ("database", "redis"):
        url, host = held.get(f"{what}_url"), settings.get(f"{what}_host")
        if url and host:
            named = urlsplit(base64.b64decode(url).decode()).netloc.rpartition("@")[2]
            if named != host:
                found.append(
                    f"the Secret order-service leads to {named}, this overlay to {host}; make it anew: "
                    f"make secrets {what.upper()}_HOST={host} | kubectl apply -f - (docs/deployment.md, 'Secrets')")
    return found


def needed_secrets(wanted: list[dict]) -> dict[str, set[str]]:
    """The Secrets that the objects name but do not bring along, with their keys."""
    needed: dict[str, set[str]] = {}

    def need(name: str, *keys: str) -> None:
        needed.setdefault(name, set()).update(keys)

    def walk(part, within: str = "") -> None:
        if isinstance(part, list):
            for element in part:
                walk(element, within)
        elif isinstance(part, dict):
            if within in ("secretKeyRef", "accessKeyId", "secretAccessKey") and not part.get("optional"):
                need(part["name"], part["key"])
            elif within == "passwordSecret":
                need(part["name"], "username", "password")
            elif within == "secret" and "secretName" in part:
                need(part["secretName"])
            for field, inner in part.items():
                walk(inner, field)

    for found in wanted:
        walk(found.get("spec", {}))
        runtime = found.get("spec", {}).get("runtimeConfig", {}).get("loadFromSecret")
        if runtime:
            need(runtime)
    brought = {name_of(s) for s in of_kind(wanted, "Secret")}
    return {name: keys for name, keys in needed.items() if name not in brought}


def refusals(plan: Plan) -> list[str]:
    """What the cluster itself says against a change."""
    found = []
    for line in plan.refused:
        mend = ""
        match = re.match(r'The (\w+) "([\w.-]+)" is invalid', line)
        if match and re.search("immutable|[Ff]orbidden: updates", line):
            kind, name = match[1].lower(), match[2]
            mend = (f"; to make it anew: kubectl -n {NAMESPACE} delete {kind} {name} --cascade=orphan, "
                    "and deploy again (its pods and volumes stay)")
        found.append(line + mend)
    return found
