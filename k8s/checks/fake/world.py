"""One cluster for one test: what is installed, what runs, who asks, and what has been seen."""

import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from fake import reach
from fake.controllers import EACH_TICK
from fake.resources import BROUGHT, BUILT_IN
from fake.server import serve
from fake.store import Refusal, Store
from manifests import ROOT, kubectl

NAMESPACE = "order-service"
# Where each system has its pods.
SPACES = {"cert-manager": "cert-manager", "spin-operator": "spin-operator", "keda": "keda", "http-add-on": "keda",
          "prometheus": "monitoring", "cnpg": "cnpg-system", "plugin-barman-cloud": "cnpg-system"}


class World:
    def __init__(self, folder):
        self.folder = folder
        self.store = Store()
        self.lock = threading.RLock()
        self.resources = dict(BUILT_IN)
        self.ticks = 0
        self.operator_runs = False
        self.operator_log: list[str] = []
        self.operator_saw: list = []
        self.alarms: set[str] = set()
        self.asked: set[tuple] = set()
        self.changed: list[tuple] = []
        self.serving: list[int] = []
        self.migration = "Complete"
        self.version = version()
        self.on: dict[tuple, object] = {}  # (resource, name) → what happens when that is changed
        self.sick: set[str] = set()  # images that cannot be had
        for name in ("kube-system", "default"):
            self.namespace(name)
        self.server = serve(self)
        self.pods = pod_server(self)

    def close(self) -> None:
        self.server.shutdown()
        self.pods.shutdown()

    def namespace(self, name: str) -> None:
        labels = {"kubernetes.io/metadata.name": name}
        self.store.put("namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                      "metadata": {"name": name, "labels": labels}})

    def board(self, name: str, memory: str = "4Gi", spin: bool = True) -> None:
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/arch": "arm64", **({"spin": "true"} if spin else {})}
        self.store.put("nodes", {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {},
            "status": {"allocatable": {"cpu": "4", "memory": memory},
                       "conditions": [{"type": "Ready", "status": "True"}]}})

    def install(self, *systems: str) -> None:
        for system in systems:
            self.resources |= BROUGHT[system]
            if system == "spin-operator":
                self.operator_runs = True
            space = SPACES.get(system)
            if space:
                self.namespace(space)
                self.store.put("deployments", {
                    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": system, "namespace": space},
                    "spec": {}, "status": {"conditions": [{"type": "Available", "status": "True"}]}})

    def tick(self) -> None:
        self.ticks += 1
        for controller in EACH_TICK:
            controller(self)
        self.serving.append(len(reach.served(self.store)))

    def event(self, about: str, namespace: str, reason: str, message: str) -> None:
        self.store.put("events", {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{about}.{reason.lower()}", "namespace": namespace},
            "involvedObject": {"name": about}, "reason": reason, "message": message, "type": "Warning",
            "lastTimestamp": f"2026-01-01T00:{self.ticks // 60 % 60:02}:{self.ticks % 60:02}Z"})

    def admit(self, resource: str, namespace: str, found: dict) -> None:
        """The operator's webhook."""
        if resource == "spinapps" and not any(
            e["metadata"]["name"] == found["spec"].get("executor") for e in self.store.all("spinappexecutors", namespace)
        ):
            raise Refusal(422, "Invalid", f'admission webhook "vspinapp.kb.io" denied the request: SpinApp '
                          f'"{found["metadata"]["name"]}" is invalid: executor does not exist in namespace')

    def least_serving(self, since: int) -> int:
        """How many pods the outside could reach at the worst moment since a tick."""
        return min(self.serving[since:], default=0)

    def kubectl(self, user: str) -> str:
        """A kubectl of this cluster and this user. port-forward, which is not HTTP, leads to the pod
        by a shorter way; kustomize needs no cluster."""
        config = self.folder / f"{user}.kubeconfig"
        address = f"http://127.0.0.1:{self.server.server_port}/as/{user}"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": address}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "namespace": "default"}}]}))
        script = self.folder / f"kubectl-{user}"
        script.write_text(KUBECTL.format(kubectl=kubectl(), config=config, cache=self.folder / "cache",
                                         pods=self.pods.server_port))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script)

    def applied(self, text: str) -> None:
        """What somebody else has applied before, past all checks."""
        for found in yaml.load_all(text, yaml.CSafeLoader):
            resource = next(r for r, held in self.resources.items() if held[:2] == (found["apiVersion"], found["kind"]))
            meta = found["metadata"]
            self.store.put(resource, found if "namespace" in meta or resource == "namespaces" else
                           {**found, "metadata": {**meta, "namespace": NAMESPACE}})


KUBECTL = """#!/bin/sh
case " $* " in
*" port-forward "*)
    for word; do case $word in pod/*) pod=${{word#pod/}} ;; esac; done
    exec python3 -S -c '
import http.server, sys, urllib.request
class Forward(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        try: reply = urllib.request.urlopen("http://127.0.0.1:{pods}/" + sys.argv[1] + self.path)
        except urllib.error.HTTPError as error: reply = error
        body = reply.read()
        self.send_response(reply.status); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", 0), Forward)
print("Forwarding from 127.0.0.1:%d -> 80" % server.server_port, flush=True)
server.serve_forever()' "$pod" ;;
*" kustomize "*) exec {kubectl} "$@" ;;
esac
exec {kubectl} --kubeconfig={config} --cache-dir={cache} "$@"
"""


def version() -> str:
    import tomllib

    return tomllib.loads((ROOT / "spin.toml").read_text())["application"]["version"]


def pod_server(world) -> ThreadingHTTPServer:
    """Answers for every pod, at /<pod>/ready and /<pod>/health."""

    class Pod(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            _, name, path = self.path.split("/", 2)
            pod = world.store.find("pods", NAMESPACE, name)
            well = pod is not None and reach.is_ready(pod)
            body = json.dumps({"status": "success", "data": {"version": world.version, "state": path}}).encode()
            self.send_response(200 if well else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pod)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
