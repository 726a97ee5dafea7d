"""Whether the boards have room for what a deployment adds."""

import re

from kube import Forbidden, Kube
from objects import SERVICE, key, name_of, of_kind, template_of
from plan import Plan

UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text) -> float:
    match = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(text))
    return float(match[1]) * UNITS[match[2]]


def _requests(spec: dict) -> dict[str, float]:
    total = {"cpu": 0.0, "memory": 0.0}
    for container in spec.get("containers", []):
        for name, value in container.get("resources", {}).get("requests", {}).items():
            if name in total:
                total[name] += quantity(value)
    return total


def room(kube: Kube, wanted: list[dict], plan: Plan) -> list[str]:
    """The boards have room for the pods that come into being before any goes: of each new workload
    all, and of the service one more, or a second set of them while the kinds change."""
    try:
        nodes = kube.get("nodes", namespace=None)
    except Forbidden:
        return []
    try:
        pods = kube.get("pods", "--all-namespaces", namespace=None)
    except Forbidden:
        print("    (what other namespaces ask of the boards is not visible to you, and not counted)", flush=True)
        pods = kube.get("pods")
    free = {name_of(node): _free(node, pods) for node in nodes if _takes_pods(node)}
    where = {name_of(node): node["metadata"].get("labels", {}) for node in nodes}
    classes = {name_of(c): c.get("scheduling", {}).get("nodeSelector", {}) for c in of_kind(wanted, "RuntimeClass")}
    found = []
    for title, count, spec in coming(wanted, plan):
        selector = spec.get("nodeSelector", {}) | classes.get(spec.get("runtimeClassName"), {})
        asked = _requests(spec)
        for _ in range(count):
            fitting = [n for n, left in free.items()
                       if selector.items() <= where[n].items() and all(left[r] >= asked[r] for r in asked)]
            if not fitting:
                asks = f"{asked['cpu'] * 1000:.0f}m CPU and {asked['memory'] / 2**20:.0f} Mi"
                rest = "; ".join(f"{n} has {v['cpu'] * 1000:.0f}m and {v['memory'] / 2**20:.0f} Mi left"
                                 for n, v in free.items() if selector.items() <= where[n].items())
                found.append(f"no board has room for {title}, which asks for {asks} ({rest or 'no board fits its selector'}): "
                             "take something away, add a board, or label one (docs/deployment.md, 'The shim')")
                break
            best = max(fitting, key=lambda n: free[n]["memory"])
            free[best] = {r: free[best][r] - asked[r] for r in asked}
    return found


def coming(wanted: list[dict], plan: Plan) -> list[tuple[str, int, dict]]:
    """(what, how many pods more, the pod) of the workloads."""
    new = {key(found) for found in plan.make}
    found = []
    for workload in wanted:
        pod, count = pod_of(workload), 0
        if not pod:
            continue
        if name_of(workload) == SERVICE:
            running = plan.deployment["spec"].get("replicas", 1) if plan.deployment else 2
            count = running if plan.switch or not plan.deployment else 1
        elif key(workload) in new:
            count = workload["spec"].get("instances") or workload["spec"].get("replicas", 1)
        if count:
            found.append((f"{workload['kind']} {name_of(workload)}", count, pod))
    return found


def pod_of(workload: dict) -> dict | None:
    """The pod that stays, of a workload of either kind: of Kubernetes, or of an operator."""
    if workload["kind"] in ("Deployment", "StatefulSet"):
        return template_of(workload)["spec"]
    if workload["kind"] == "SpinApp":
        return {"containers": [workload["spec"]], "runtimeClassName": "wasmtime-spin-v2"}
    if workload["kind"] == "Cluster":
        return {"containers": [workload["spec"]],
                "nodeSelector": workload["spec"].get("affinity", {}).get("nodeSelector", {})}
    return None


def _takes_pods(node: dict) -> bool:
    spec = node.get("spec", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    closed = any(t.get("effect") in ("NoSchedule", "NoExecute") for t in spec.get("taints", []))
    return ready and not closed and not spec.get("unschedulable")


def _free(node: dict, pods: list[dict]) -> dict[str, float]:
    left = {r: quantity(node["status"]["allocatable"][r]) for r in ("cpu", "memory")}
    for pod in pods:
        if pod["spec"].get("nodeName") == name_of(node) and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            asked = _requests(pod["spec"])
            left = {r: left[r] - asked[r] for r in left}
    return left
