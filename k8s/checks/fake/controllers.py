"""What goes on by itself: the controllers, one step at each tick."""

import hashlib
import json
import math

from fake import reach
from fake.resources import check, default, violations
from fake.store import Refusal, matches, owned_by, owner_uids
from manifests import cloudnativepg_makes, operator_makes

# Ticks until a started pod is ready, and until a stopped one is gone.
READY_AFTER, GONE_AFTER = 3, 3


def meta(found: dict) -> dict:
    return found["metadata"]


def garbage(world) -> None:
    """What has owners, and none of them left."""
    uids = {meta(o)["uid"] for o in world.store.objects.values()}
    for (resource, namespace, name), found in list(world.store.objects.items()):
        owners = owner_uids(found)
        if owners and not owners & uids:
            if resource == "pods":
                stop(found)
            else:
                world.store.remove(resource, namespace, name)


def spin_operator(world) -> None:
    """Makes Deployment and Service from each SpinApp, by server-side apply with force. What goes
    wrong stands in its log alone."""
    if not world.operator_runs:
        return
    for app in world.store.all("spinapps"):
        namespace, name = meta(app)["namespace"], meta(app)["name"]
        executors = world.store.all("spinappexecutors", namespace)
        there = [world.store.find(resource, namespace, name) for resource in ("deployments", "services")]
        seen = [meta(o)["resourceVersion"] if o else None for o in (app, *executors, *there)]
        if world.operator_saw == seen:
            continue
        world.operator_saw = seen
        if not any(meta(e)["name"] == app["spec"]["executor"] for e in executors):
            continue
        for made in operator_makes(app, executors):
            resource = {"Deployment": "deployments", "Service": "services"}[made.pop("kind")]
            made.pop("byOperator")
            made["metadata"]["ownerReferences"] = [owned_by(app, app["apiVersion"], "SpinApp")]
            made["kind"] = "Deployment" if resource == "deployments" else "Service"
            before = world.store.find(resource, namespace, name)
            after = world.store.becoming(resource, namespace, name, made, "spin-operator")
            default(resource, after)
            try:
                check(resource, before, after)
            except Refusal as refusal:
                world.operator_log.append(f"Failed to Reconcile {made['kind']}: {refusal.message}")
                break
            if before != after:
                world.store.apply(resource, namespace, name, made, "spin-operator")
                default(resource, world.store.get(resource, namespace, name))


def autoscalers(world) -> None:
    targets = [(s["spec"]["scaleTargetRef"]["name"], s["spec"].get("minReplicas", 1), meta(s))
               for s in world.store.all("horizontalpodautoscalers")]
    targets += [(s["spec"]["scaleTargetRef"]["name"], s["spec"]["replicas"]["min"], meta(s))
                for s in world.store.all("httpscaledobjects")]
    for name in {target for target, _, _ in targets}:
        if sum(target == name for target, _, _ in targets) > 1:
            world.alarms.add(f"two autoscalers on {name}")
    for name, fewest, held in targets:
        deployment = world.store.find("deployments", held["namespace"], name)
        # At none, an autoscaler sleeps; and it looks only every fifteen seconds.
        if deployment and 0 < deployment["spec"]["replicas"] < fewest and world.ticks % 15 == 0:
            deployment["spec"]["replicas"] = fewest
            world.store.put("deployments", deployment)


def deployments(world) -> None:
    for found in world.store.all("deployments", "order-service"):
        roll(world, found)


def roll(world, found: dict) -> None:
    spec, store = found["spec"], world.store
    namespace, uid = meta(found)["namespace"], meta(found)["uid"]
    sets = []
    for candidate in store.all("replicasets", namespace):
        orphan = not meta(candidate).get("ownerReferences")
        if orphan and matches(spec["selector"]["matchLabels"], meta(candidate)["labels"]):
            meta(candidate)["ownerReferences"] = [owned_by(found, "apps/v1", "Deployment")]
        if uid in owner_uids(candidate):
            sets.append(candidate)
    digest = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
    new = next((s for s in sets if meta(s)["labels"]["pod-template-hash"] == digest), None)
    if new is None:
        labels = {**spec["template"]["metadata"]["labels"], "pod-template-hash": digest}
        new = store.put("replicasets", {
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": f"{meta(found)['name']}-{digest}", "namespace": namespace, "labels": labels,
                         "ownerReferences": [owned_by(found, "apps/v1", "Deployment")]},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": spec["template"]["spec"]}},
        })
        sets.append(new)
    wanted, rolling = spec["replicas"], spec.get("strategy", {}).get("rollingUpdate", {})
    surge = rolling.get("maxSurge", math.ceil(wanted / 4))
    fewest = wanted - rolling.get("maxUnavailable", math.floor(wanted / 4))
    total = sum(s["spec"]["replicas"] for s in sets)
    new["spec"]["replicas"] = min(wanted, max(new["spec"]["replicas"], 0) + max(0, wanted + surge - total))
    olds = [s for s in sets if s is not new]
    pods = {meta(s)["uid"]: pods_of(world, s) for s in sets}
    ready = sum(reach.is_ready(p) for those in pods.values() for p in those)
    for old in olds:
        idle = sum(not reach.is_ready(p) for p in pods[meta(old)["uid"]] if "deletionTimestamp" not in meta(p))
        fewer = min(old["spec"]["replicas"], idle + max(0, ready - fewest))
        old["spec"]["replicas"] -= fewer
        ready -= max(0, fewer - idle)
    current = [p for p in pods[meta(new)["uid"]] if "deletionTimestamp" not in meta(p)]
    every = [p for those in pods.values() for p in those if "deletionTimestamp" not in meta(p)]
    counts = {"replicas": len(every), "updatedReplicas": len(current),
              "readyReplicas": sum(map(reach.is_ready, every)), "availableReplicas": sum(map(reach.is_ready, every))}
    found["status"] = {"observedGeneration": meta(found)["generation"], **{k: v for k, v in counts.items() if v}}


def pods_of(world, found: dict) -> list[dict]:
    return [p for p in world.store.all("pods", meta(found)["namespace"]) if meta(found)["uid"] in owner_uids(p)]


def start(world, owner: dict, kind: str, name: str, template: dict) -> None:
    """A pod, unless the namespace's standard refuses it."""
    namespace = meta(owner)["namespace"]
    pod = {"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": name, "namespace": namespace, "labels": dict(template["metadata"].get("labels", {})),
                        "ownerReferences": [owned_by(owner, "apps/v1", kind)]},
           "spec": {**json.loads(json.dumps(template["spec"]))}, "status": {"phase": "Pending", "age": 0}}
    space = world.store.find("namespaces", "", namespace)
    level = meta(space).get("labels", {}).get("pod-security.kubernetes.io/enforce", "privileged") if space else ""
    found = violations(pod, level)
    if found:
        world.event(meta(owner)["name"], namespace, "FailedCreate",
                    f'Error creating: pods "{name}" is forbidden: violates PodSecurity "{level}:latest": '
                    + ", ".join(found))
        return
    world.store.put("pods", pod)


def stop(pod: dict) -> None:
    meta(pod).setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")


def replica_sets(world) -> None:
    for found in world.store.all("replicasets"):
        pods = [p for p in pods_of(world, found) if "deletionTimestamp" not in meta(p)]
        for number in range(found["spec"]["replicas"] - len(pods)):
            start(world, found, "ReplicaSet", f"{meta(found)['name']}-{world.ticks}{number}", found["spec"]["template"])
        for pod in sorted(pods, key=reach.is_ready)[: max(0, len(pods) - found["spec"]["replicas"])]:
            stop(pod)


def stateful_sets(world) -> None:
    for found in world.store.all("statefulsets"):
        name, wanted = meta(found)["name"], found["spec"].get("replicas", 1)
        pods = pods_of(world, found)
        for number in range(wanted):
            if f"{name}-{number}" not in {meta(p)["name"] for p in pods}:
                start(world, found, "StatefulSet", f"{name}-{number}", found["spec"]["template"])
        ready = sum(map(reach.is_ready, pods))
        found["status"] = {"observedGeneration": meta(found)["generation"], "updatedReplicas": wanted,
                           "readyReplicas": ready, "replicas": len(pods), "currentReplicas": wanted,
                           "currentRevision": "1", "updateRevision": "1"}


def databases(world) -> None:
    """CloudNativePG: the instances and the Services of each Cluster."""
    for found in world.store.all("clusters"):
        instances, *services = cloudnativepg_makes(found)
        reference = owned_by(found, found["apiVersion"], "Cluster")
        for service in services:
            service["metadata"]["ownerReferences"] = [reference]
            if not world.store.find("services", meta(service)["namespace"], meta(service)["name"]):
                world.store.put("services", {"apiVersion": "v1", **service})
        pods = pods_of(world, found)
        for number in range(1, found["spec"]["instances"] + 1):
            name = f"{meta(found)['name']}-{number}"
            if name not in {meta(p)["name"] for p in pods}:
                template = instances["spec"]["template"]
                start(world, found, "Cluster", name, template)
        ready = sum(map(reach.is_ready, pods))
        phase = "Cluster in healthy state" if ready == found["spec"]["instances"] else "Setting up primary"
        found["status"] = {"readyInstances": ready, "phase": phase}


def jobs(world) -> None:
    for found in world.store.all("jobs"):
        pods = pods_of(world, found)
        status = found.setdefault("status", {})
        if not status.get("conditions") and not pods:
            start(world, found, "Job", f"{meta(found)['name']}-x", found["spec"]["template"])
        elif pods and pods[0]["status"]["phase"] == "Running":
            how = world.migration if meta(found)["name"] == "order-migrations" else "Complete"
            status["conditions"] = [{"type": how, "status": "True"}]
            pods[0]["status"] = {"phase": "Succeeded" if how == "Complete" else "Failed", "age": 0}


def scheduler(world) -> None:
    from fake.capacity import fits

    for pod in world.store.all("pods"):
        if "nodeName" in pod["spec"] or pod["status"]["phase"] != "Pending" or "deletionTimestamp" in meta(pod):
            continue
        node, said = fits(world, pod)
        if node:
            pod["spec"]["nodeName"] = node
        else:
            pod["status"]["conditions"] = [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}]
            world.event(meta(pod)["name"], meta(pod)["namespace"], "FailedScheduling", said)


def kubelet(world) -> None:
    for pod in world.store.all("pods"):
        status = pod["status"]
        if "deletionTimestamp" in meta(pod):
            status["ready"], status["gone"] = False, status.get("gone", 0) + 1
            if status["gone"] > GONE_AFTER:
                world.store.remove("pods", meta(pod)["namespace"], meta(pod)["name"])
            continue
        if "nodeName" not in pod["spec"] or status["phase"] in ("Succeeded", "Failed"):
            continue
        sick = next((c for c in pod["spec"]["containers"] if c["image"] in world.sick), None)
        if sick:
            message = f'Back-off pulling image "{sick["image"]}"'
            status.update(ready=False, conditions=[{"type": "Ready", "status": "False"}], containerStatuses=[
                {"name": sick["name"], "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}}])
            continue
        status.pop("containerStatuses", None)
        status["age"] += 1
        status["phase"] = "Running" if status["age"] > 1 else "Pending"
        fit = status["age"] >= READY_AFTER
        if meta(pod)["labels"].get("app.kubernetes.io/component") == "api":
            fit = fit and reach.has_its_database(world.store, pod)
        status["ready"] = fit
        status["conditions"] = [{"type": "Ready", "status": "True" if fit else "False"}]


EACH_TICK = [garbage, spin_operator, autoscalers, deployments, replica_sets, stateful_sets, databases, jobs,
             scheduler, kubelet]
