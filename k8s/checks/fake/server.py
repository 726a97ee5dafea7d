"""The API server's HTTP, as far as kubectl needs it."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import yaml

from fake.rights import may
from fake.resources import check, default
from fake.store import Refusal, matches, merge

PATH = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
                  r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)"
                  r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?$")
# What somebody who waits asks for: before each such answer the world goes on.
ASKED = re.compile(r"/(deployments|replicasets|statefulsets|jobs|clusters|pods|spinapps)(/|$)")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def log_message(self, *_):
        pass

    def reply(self, code: int, body) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def handle_any(self) -> None:
        # Who asks stands before the path: kubectl sends no token without TLS.
        self.user, rest = re.match(r"/as/(\w+)(/.*)", self.path).groups()
        url = urlsplit(rest)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if "watch" in query:
            return self.watch(url.path, query)
        with self.world.lock:
            if self.command == "GET" and ASKED.search(url.path):
                self.world.tick()
            try:
                self.reply(*self.answer(url.path, query, body))
            except Refusal as refusal:
                self.reply(refusal.code, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                          "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
                                          "details": refusal.details})

    def watch(self, path: str, query: dict) -> None:
        """Goes on in time, and tells each object whenever it has changed."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        told = {}
        try:
            for _ in range(500):
                with self.world.lock:
                    self.world.tick()
                    there = self.answer(path, query, b"")[1]
                    items = {o["metadata"]["name"]: json.dumps(o) for o in there["items"]}
                for name in told.keys() - items.keys():
                    self.tell("DELETED", told.pop(name))
                for name, text in items.items():
                    if told.get(name) != text:
                        self.tell("MODIFIED" if name in told else "ADDED", text)
                        told[name] = text
                if query.pop("sendInitialEvents", "") == "true":
                    self.tell("BOOKMARK", json.dumps({
                        "apiVersion": there["apiVersion"], "kind": there["kind"].removesuffix("List"),
                        "metadata": {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}}))
                time.sleep(0.02)
        except OSError:
            pass
        self.close_connection = True

    def tell(self, what: str, text: str) -> None:
        self.wfile.write(f'{{"type": "{what}", "object": {text}}}\n'.encode())
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def answer(self, path: str, query: dict, body: bytes) -> tuple[int, object]:
        found = discovery(self.world, path)
        if found is not None:
            return 200, found
        match = PATH.match(path)
        if not match:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        namespace, resource, name = match["namespace"] or "", match["resource"], match["name"] or ""
        if resource == "namespaces" or match["core"] and path.startswith("/api/v1/namespaces/") and not match["resource"]:
            resource = "namespaces"
        version = match["core"] or f"{match['group']}/{match['version']}"
        held = self.world.resources.get(resource)
        if held is None or held[0] != version:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        group = match["group"] or ""
        verb = VERBS.get(self.command) or ("get" if name else "list")
        # To read a namespace is a right within it.
        within = name if resource == "namespaces" and verb == "get" else namespace
        self.authorise(verb, group, resource + (f"/{match['sub']}" if match["sub"] else ""), within, name)
        if match["sub"] == "token":
            return 201, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": name},
                         "status": {"token": "a-token", "expirationTimestamp": "2026-01-01T08:00:00Z"}}
        return getattr(self, verb)(resource, namespace, name, query, body)

    def authorise(self, verb, group, resource, namespace, name) -> None:
        user = self.user
        self.world.asked.add((user, verb, group, resource, namespace))
        if not may(self.world.store, user, verb, group, resource, namespace, name):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            named = f' "{name}"' if name else ""
            raise Refusal(403, "Forbidden", f'{resource}.{group}{named} is forbidden: User "{user}" cannot {verb} '
                                            f'resource "{resource}" in API group "{group}" {where}')

    def get(self, resource, namespace, name, query, body):
        found = self.world.store.find(resource, namespace, name)
        if found is None:
            raise Refusal(404, "NotFound", f'{resource} "{name}" not found')
        return 200, found

    def list(self, resource, namespace, name, query, body):
        version, kind, _ = self.world.resources[resource]
        selector = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part)
        fields = dict(part.split("=", 1) for part in query.get("fieldSelector", "").split(",") if "=" in part)
        found = [o for o in self.world.store.all(resource, namespace or None)
                 if matches(selector, o["metadata"].get("labels", {}))
                 and fields.get("metadata.name", o["metadata"]["name"]) == o["metadata"]["name"]]
        return 200, {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": found}

    def create(self, resource, namespace, name, query, body):
        found = json.loads(body)
        name = found["metadata"]["name"]
        if self.world.store.find(resource, namespace, name):
            raise Refusal(409, "AlreadyExists", f'{resource} "{name}" already exists')
        if namespace:
            found["metadata"].setdefault("namespace", namespace)
        return self.keep(resource, namespace, name, None, found, query, 201)

    def update(self, resource, namespace, name, query, body):
        return self.keep(resource, namespace, name, self.world.store.get(resource, namespace, name),
                         json.loads(body), query)

    def patch(self, resource, namespace, name, query, body):
        store, patch = self.world.store, yaml.load(body, yaml.CSafeLoader)
        before = store.find(resource, namespace, name)
        if "apply-patch" in self.headers.get("Content-Type", ""):
            after = store.becoming(resource, namespace, name, patch, query["fieldManager"])
        elif before is None:
            raise Refusal(404, "NotFound", f'{resource} "{name}" not found')
        else:
            after = merge(before, patch)
            patch = None
        return self.keep(resource, namespace, name, before, after, query, 200 if before else 201, patch)

    def keep(self, resource, namespace, name, before, after, query, code=200, applied=None):
        store = self.world.store
        if namespace and store.find("namespaces", "", namespace) is None:
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
        default(resource, after)
        self.world.admit(resource, namespace, after)
        check(resource, before, after)
        if query.get("dryRun") == "All":
            return code, after
        self.world.changed.append((resource, namespace, name))
        self.world.on.get((resource, name), lambda: None)()
        if applied is not None:
            store.apply(resource, namespace, name, applied, query["fieldManager"])
            default(resource, store.get(resource, namespace, name))
        else:
            store.put(resource, after)
        return code, store.get(resource, namespace, name)

    def delete(self, resource, namespace, name, query, body):
        store = self.world.store
        found = store.get(resource, namespace, name)
        self.world.changed.append((resource, namespace, name))
        options = json.loads(body or b"{}")
        if options.get("propagationPolicy") == "Orphan":
            for other in store.objects.values():
                owners = other["metadata"].get("ownerReferences", [])
                other["metadata"]["ownerReferences"] = [o for o in owners if o["uid"] != found["metadata"]["uid"]]
        if resource == "pods":
            found["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            return 200, found
        store.remove(resource, namespace, name)
        return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}


def discovery(world, path: str):
    """/version, /api, /apis, the resources of each group, and what of OpenAPI kubectl looks for:
    whether an object may be validated by the server."""
    versions = sorted({held[0] for held in world.resources.values()})
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [v for v in versions if "/" in v]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(v) for v in groups]}
    if path == "/openapi/v3":
        return {"paths": {_base(v).lstrip("/"): {"serverRelativeURL": f"/openapi/v3{_base(v)}"} for v in versions}}
    for version in versions:
        if path == _base(version):
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
                    "resources": [_resource(name, *held[1:]) for name, held in world.resources.items() if held[0] == version]}
        if path == f"/openapi/v3{_base(version)}":
            return _openapi(world, version)
    return None


def _base(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _group(version: str) -> dict:
    held = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [held], "preferredVersion": held}


def _resource(name: str, kind: str, namespaced: bool) -> dict:
    short = {"horizontalpodautoscalers": ["hpa"], "persistentvolumes": ["pv"]}.get(name, [])
    return {"name": name, "singularName": kind.lower(), "shortNames": short, "namespaced": namespaced, "kind": kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update"]}


def _openapi(world, version: str) -> dict:
    paths = {}
    for name, (held, kind, namespaced) in world.resources.items():
        if held == version:
            group, _, number = version.rpartition("/")
            where = f"{_base(version)}{'/namespaces/{namespace}' if namespaced else ''}/{name}/{{name}}"
            paths[where] = {"patch": {
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "x-kubernetes-group-version-kind": {"group": group, "version": number, "kind": kind}}}
    return {"openapi": "3.0.0", "info": {"title": "fake", "version": "1"}, "paths": paths}


def serve(world) -> ThreadingHTTPServer:
    handler = type("WorldHandler", (Handler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
