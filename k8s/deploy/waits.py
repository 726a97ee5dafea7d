"""Waiting, with a limit for each, with what is waited for, and with the reason when it was in vain."""

import os
import re
import sys
import time

from kube import Kube, Refused
from objects import NAME, SERVICE, name_of, owner

POLL_S = float(os.environ.get("POLL_S", "1"))


def seconds(text: str) -> int:
    """`300`, `300s`, `5m`, `1h`."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match:
        raise Refused(f"TIMEOUT is a number of seconds, or 5m, or 1h; not {text}")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def until(what: str, timeout_s: int, probe, why) -> None:
    """Asks `probe` for (whether it is so, how far it is) and says so whenever that has changed.
    `why` tells, at the end of the time, what the cluster says about it."""
    deadline, said = time.monotonic() + timeout_s, None
    while True:
        so, progress = probe()
        if progress != said:
            print(f"    {what}: {progress}", file=sys.stderr, flush=True)
            said = progress
        if so:
            return
        if time.monotonic() > deadline:
            reasons = why()
            lines = "".join(f"\n    {line}" for line in reasons) or " (the cluster says nothing about it)"
            raise Refused(f"{what}: not within {timeout_s} s, {progress}{lines}")
        time.sleep(POLL_S)


def stateful_set(kube: Kube, name: str, timeout_s: int) -> None:
    def probe():
        found = kube.one("statefulsets.apps", name)
        if found is None:
            return False, "not there"
        status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
        seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
        updated = (status.get("updateRevision") == status.get("currentRevision")
                   or status.get("updatedReplicas") == wanted)
        ready = status.get("readyReplicas", 0)
        return seen and updated and ready == wanted, f"{ready} of {wanted} ready"

    until(f"StatefulSet {name}", timeout_s, probe, lambda: reasons(kube, name))


def deployment(kube: Kube, name: str, timeout_s: int) -> None:
    until(f"Deployment {name}", timeout_s, lambda: rolled_out(kube.one("deployments.apps", name)),
          lambda: reasons(kube, name))


def rolled_out(found: dict | None) -> tuple[bool, str]:
    if found is None:
        return False, "not there"
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    settled = updated == ready == status.get("availableReplicas", 0) == status.get("replicas", 0) == wanted
    return seen and settled, f"{updated} of {wanted} new, {ready} ready, {status.get('replicas', 0)} in all"


def database(kube: Kube, name: str, timeout_s: int) -> None:
    """A Cluster of CloudNativePG: all instances follow the primary, and the archive works."""
    def probe():
        found = kube.one("clusters.postgresql.cnpg.io", name)
        status, wanted = (found or {}).get("status", {}), (found or {}).get("spec", {}).get("instances", 0)
        ready, phase = status.get("readyInstances", 0), status.get("phase", "not begun")
        return bool(found) and ready == wanted, f"{ready} of {wanted} instances ready ({phase})"

    until(f"Cluster {name}", timeout_s, probe, lambda: reasons(kube, name))


def job(kube: Kube, name: str, timeout_s: int) -> None:
    """Ends with the log of a Job that has failed."""
    def probe():
        found = kube.one("jobs.batch", name) or {}
        status = found.get("status", {})
        states = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
        if "Failed" in states:
            log = kube.run("--namespace", kube.namespace, "logs", f"job/{name}", "--all-containers", "--tail", "50")
            raise Refused(f"the migrations failed; the service was not touched\n{log.stdout}{log.stderr}".rstrip())
        counts = ", ".join(f"{status[part]} {part}" for part in ("active", "failed") if status.get(part))
        return "Complete" in states, "complete" if "Complete" in states else counts or "not begun"

    until(f"Job {name}", timeout_s, probe, lambda: reasons(kube, name))


def reasons(kube: Kube, name: str) -> list[str]:
    """Why pods of this name are not ready: their state, and the newest events about each."""
    found = []
    pods = [p for p in kube.get("pods", "--selector", f"{NAME}={name}") if not is_ready(p)]
    events = kube.get("events")
    for pod in pods:
        found.append(f"pod {name_of(pod)}: {state(pod)}")
        found += told(events, name_of(pod))
    if not pods:
        # No pod at all: somebody refuses to make it, or has not begun.
        found += [line for e in {_about(e) for e in events} if e.startswith(name) for line in told(events, e)]
    return found


def told(events: list[dict], about: str, most: int = 3) -> list[str]:
    its = [e for e in events if _about(e) == about and e.get("type") != "Normal"]
    its.sort(key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")
    lines = [f"  {e.get('reason')}: {e.get('message', '').strip()}" for e in its]
    return list(dict.fromkeys(lines))[-most:]


def _about(event: dict) -> str:
    return event.get("involvedObject", event.get("regarding", {})).get("name", "")


def is_ready(pod: dict) -> bool:
    states = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in states)
    return ready and "deletionTimestamp" not in pod["metadata"]


def state(pod: dict) -> str:
    status = pod.get("status", {})
    found = [status.get("phase", "Pending")]
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        for kind in ("waiting", "terminated"):
            part = container.get("state", {}).get(kind)
            if part and part.get("reason") != "Completed":
                found.append(f"{container['name']} {part.get('reason', kind)} {part.get('message', '')}".strip())
    found += [c["message"] for c in status.get("conditions", []) if c["status"] != "True" and c.get("message")]
    return "; ".join(dict.fromkeys(found))


def pods_of(kube: Kube, deployment: dict) -> list[dict]:
    """The ready pods of a Deployment."""
    uid = deployment["metadata"]["uid"]
    sets = {r["metadata"]["uid"] for r in kube.get("replicasets.apps") if owner(r).get("uid") == uid}
    return [p for p in kube.get("pods", "--selector", f"{NAME}={SERVICE}")
            if owner(p).get("uid") in sets and is_ready(p)]
