"""From the operator's pods to those of the plain Deployment, or back. Both kinds have a Deployment
of the same name, whose selector cannot be changed. So the old one is taken away without its
pods, which go on serving until the new ones are ready; the Service leads to both.

A deployment that was interrupted leaves nothing that the next one does not take up."""

import sys

from kube import Kube
from objects import NAME, SERVICE, name_of, owner
from plan import BEFORE, Plan
from waits import until

# What the operator's Service selects.
STATUS = f"core.spinkube.dev/app.{SERVICE}.status"


def keep_policies(kube: Kube, plan: Plan) -> None:
    """What the running pods may do, they may do until they are gone: policies add up."""
    copies = []
    for policy in plan.policies:
        if policy["spec"]["podSelector"]:
            copies.append({
                "apiVersion": policy["apiVersion"], "kind": policy["kind"],
                "metadata": {"name": f"{name_of(policy)}-before", "namespace": kube.namespace,
                             "labels": {BEFORE: "true"}},
                "spec": policy["spec"],
            })
    kube.apply(copies)


def detach(kube: Kube, plan: Plan) -> None:
    """Takes away what owns the pods, and leaves the pods; so too the Service, which the operator
    has made its own and which would vanish with the SpinApp."""
    for app in plan.remove:
        if app["kind"] == "SpinApp":
            kube.delete("spinapps.core.spinkube.dev", name_of(app), "--cascade=orphan")
    if not plan.switch:
        return
    uid = plan.deployment["metadata"]["uid"]
    sets = [s for s in kube.get("replicasets.apps") if owner(s).get("uid") == uid]
    kube.delete("deployments.apps", SERVICE, "--cascade=orphan")
    for found in sets:
        # With other labels of its own, no Deployment takes it over. Its pods keep theirs.
        _label(kube, "replicaset", name_of(found), f"{NAME}={SERVICE}-before", f"{BEFORE}=true",
               "core.spinkube.dev/app-name-", f"{STATUS}-")
    for pod in kube.get("pods", "--selector", f"{NAME}={SERVICE}"):
        if owner(pod).get("uid") in {s["metadata"]["uid"] for s in sets}:
            _label(kube, "pod", name_of(pod), f"{STATUS}=ready")


def _label(kube: Kube, kind: str, name: str, *changes: str) -> None:
    kube.ask("--namespace", kube.namespace, "label", kind, name, "--overwrite", *changes)


def left(kube: Kube) -> list[dict]:
    return kube.get("replicasets.apps", "--selector", f"{BEFORE}=true")


def let_go(kube: Kube, timeout_s: int) -> None:
    """The old pods, now that the new ones serve, and what was kept for them."""
    sets = left(kube)
    for found in sets:
        kube.delete("replicasets.apps", name_of(found))
    uids = {s["metadata"]["uid"] for s in sets}

    def probe():
        pods = [p for p in kube.get("pods", "--selector", f"{NAME}={SERVICE}") if owner(p).get("uid") in uids]
        return not pods, f"{len(pods)} of the old pods left"

    if sets:
        until("the pods before", timeout_s, probe, lambda: ["they do not end: kubectl get pods says more"])
    for policy in kube.get("networkpolicies.networking.k8s.io", "--selector", f"{BEFORE}=true"):
        kube.delete("networkpolicies.networking.k8s.io", name_of(policy))


def replicas(kube: Kube, plan: Plan) -> int:
    """How many there are, of the kind that is there or of the one that was left behind."""
    sets = [plan.deployment] if plan.deployment else []
    return max((found["spec"].get("replicas", 1) for found in [*sets, *left(kube)]), default=0)


def at_least(kube: Kube, wanted: int) -> None:
    """As many as there were: a new Deployment begins with one, and an autoscaler needs a while,
    or, at none, never begins."""
    found = kube.one("deployments.apps", SERVICE)
    if found and found["spec"].get("replicas", 1) < wanted:
        print(f"    {wanted} replicas at once, as before", file=sys.stderr, flush=True)
        kube.ask("--namespace", kube.namespace, "patch", "deployment", SERVICE, "--type", "merge",
                 "--patch", f'{{"spec": {{"replicas": {wanted}}}}}')
