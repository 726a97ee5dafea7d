"""The service itself: from the objects to pods of this image that answer."""

import http.client
import json
import re
import subprocess
import sys
import tomllib

from kube import Kube, Refused
from objects import ROOT, SERVICE, name_of, of_kind, owner
from waits import pods_of, reasons, rolled_out, until

OPERATOR_LOG = "kubectl -n spin-operator logs deployment/spin-operator-controller-manager"


def wait(kube: Kube, wanted: list[dict], image: str, timeout_s: int) -> None:
    """The Deployment is made from these objects, by the operator if it is the one who makes it,
    and all its pods are of it."""
    apps = of_kind(wanted, "SpinApp")

    def probe():
        found = kube.one("deployments.apps", SERVICE)
        if apps:
            behind = not_taken_up(kube, apps[0], found)
            if behind:
                return False, behind
        elif found and container(found)["image"] != image:
            return False, "the Deployment has another image"
        return rolled_out(found)

    def why():
        found = kube.one("deployments.apps", SERVICE)
        behind = not_taken_up(kube, apps[0], found) if apps else None
        if behind:
            return [f"is the operator running, and what does it say? {OPERATOR_LOG}"]
        return reasons(kube, SERVICE) + ["back to the version before: make deploy IMAGE=<the image before>"]

    until("the service", timeout_s, probe, why)


def not_taken_up(kube: Kube, app: dict, deployment: dict | None) -> str | None:
    """What of the SpinApp the operator has not put into the Deployment yet."""
    live = kube.one("spinapps.core.spinkube.dev", name_of(app))
    if deployment is None:
        return "the operator has made no Deployment yet"
    if live is None or owner(deployment).get("uid") != live["metadata"]["uid"]:
        return "the Deployment is not the operator's"
    made = container(deployment)
    if made["image"] != app["spec"]["image"]:
        return "the operator's Deployment still has the image before"
    env = {e["name"]: e.get("valueFrom", e.get("value")) for e in made.get("env", [])}
    for variable in app["spec"].get("variables", []):
        name = f"SPIN_VARIABLE_{variable['name'].upper()}"
        if not _within(variable.get("valueFrom", variable.get("value")), env.get(name)):
            return f"the operator's Deployment still has {name} as it was"
    if not _within(app["spec"].get("resources", {}), made.get("resources", {})):
        return "the operator's Deployment still has the resources before"
    return None


def _within(asked, there) -> bool:
    """What was asked for is there; the cluster may have added defaults."""
    if isinstance(asked, dict) and isinstance(there, dict):
        return all(_within(part, there.get(name)) for name, part in asked.items())
    return asked == there


def container(deployment: dict) -> dict:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def answers(kube: Kube, timeout_s: int) -> None:
    """Each pod says that it is ready, and is of this checkout's version: settings, migrations and
    policies come from here, the code from the image."""
    version = tomllib.loads((ROOT / "spin.toml").read_text())["application"]["version"]
    said: dict[str, str] = {}

    def probe():
        said.clear()
        deployment = kube.one("deployments.apps", SERVICE)
        pods = pods_of(kube, deployment) if deployment else []
        for pod in pods:
            (ready, _), (health, data) = asked(kube, pod, "/ready", "/health")
            if ready != 200 or health != 200:
                return False, f"{name_of(pod)} answers {ready} at /ready and {health} at /health"
            said[name_of(pod)] = data.get("data", {}).get("version", "unknown")
        return bool(pods), f"{len(pods)} pods answer"

    until("/ready and /health", timeout_s, probe, lambda: reasons(kube, SERVICE))
    for pod, found in said.items():
        if found != version:
            raise Refused(f"{pod} answers as version {found}, but this checkout is {version}: deploy an image "
                          f"with the manifests of its own version (git switch --detach v{found})")
    print(f"    version {version}", file=sys.stderr, flush=True)


def asked(kube: Kube, pod: dict, *paths: str) -> list[tuple[int, dict]]:
    """GET of each path, by way of the kubelet, which no policy keeps out; 0 where nothing answers."""
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    command = [*kube.command, "--namespace", kube.namespace, "port-forward", f"pod/{name_of(pod)}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as forward:
        match = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        found = [get(int(match[1]), path) if match else (0, {}) for path in paths]
        forward.terminate()
    return found


def get(port: int, path: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read() or "{}")
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}
    finally:
        connection.close()
