"""The objects, and how the API server changes them."""

import copy
import itertools
import uuid

# By what the elements of a list are told apart when objects are merged; other lists are replaced.
ELEMENTS = {
    "containers": ["name"], "initContainers": ["name"], "env": ["name"], "volumes": ["name"],
    "volumeMounts": ["mountPath"], "ports": ["containerPort", "port"], "ownerReferences": ["uid"],
}


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str, details: dict | None = None):
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details


def not_found(resource: str, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{resource} "{name}" not found')


def element_key(field: str, element) -> tuple | None:
    if not isinstance(element, dict):
        return None
    for name in ELEMENTS.get(field, []):
        if name in element:
            # The protocol is part of a port's identity; TCP is the default.
            return (name, element[name], element.get("protocol", "TCP") if field == "ports" else "")
    return None


def merge(live, patch, field: str = ""):
    """`patch` over `live`: None takes away, lists of ELEMENTS are merged by their keys."""
    if isinstance(live, dict) and isinstance(patch, dict):
        merged = dict(live)
        for name, value in patch.items():
            if name.startswith("$"):
                continue
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = merge(merged.get(name), value, name)
        return merged
    if isinstance(live, list) and isinstance(patch, list) and field in ELEMENTS:
        merged = {element_key(field, e): e for e in live}
        for element in patch:
            if element.get("$patch") == "delete":
                merged.pop(element_key(field, element), None)
                continue
            held = element_key(field, element)
            merged[held] = merge(merged.get(held), element)
        return list(merged.values())
    if isinstance(patch, dict):
        return {name: merge(None, value, name) for name, value in patch.items() if not name.startswith("$")}
    return copy.deepcopy(patch)


def without(live, old, new, others: list, field: str = ""):
    """`live` without what a manager applied before (`old`), applies no more (`new`), and no other
    manager applies."""
    if isinstance(live, dict) and isinstance(old, dict):
        kept = {}
        for name, value in live.items():
            held = [o[name] for o in others if isinstance(o, dict) and name in o]
            now = new.get(name) if isinstance(new, dict) else None
            if name in old and now is None and not held:
                continue
            kept[name] = without(value, old.get(name), now, held, name) if name in old else value
        return kept
    if isinstance(live, list) and isinstance(old, list) and field in ELEMENTS:
        keys = {element_key(field, e) for part in [new, *others] for e in part or []}
        gone = {element_key(field, e) for e in old} - keys
        return [e for e in live if element_key(field, e) not in gone]
    return live


class Store:
    def __init__(self):
        self.objects: dict[tuple, dict] = {}  # (resource, namespace, name) → object
        self.applied: dict[tuple, dict[str, dict]] = {}
        self.versions = itertools.count(1)

    def get(self, resource: str, namespace: str, name: str) -> dict:
        if (resource, namespace, name) not in self.objects:
            raise not_found(resource, name)
        return self.objects[resource, namespace, name]

    def find(self, resource: str, namespace: str, name: str) -> dict | None:
        return self.objects.get((resource, namespace, name))

    def all(self, resource: str, namespace: str | None = None) -> list[dict]:
        return [o for (r, n, _), o in list(self.objects.items()) if r == resource and namespace in (None, n)]

    def put(self, resource: str, found: dict) -> dict:
        meta = found["metadata"]
        meta.setdefault("uid", str(uuid.uuid4()))
        meta["resourceVersion"] = str(next(self.versions))
        meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        before = self.objects.get((resource, meta.get("namespace", ""), meta["name"]))
        if before is None or before.get("spec") != found.get("spec"):
            meta["generation"] = meta.get("generation", 0) + 1
        self.objects[resource, meta.get("namespace", ""), meta["name"]] = found
        return found

    def becoming(self, resource: str, namespace: str, name: str, config: dict, manager: str) -> dict:
        """What an object is after a server-side apply that forces conflicts."""
        where = (resource, namespace, name)
        live = self.objects.get(where, {})
        managers = self.applied.get(where, {})
        others = [c for m, c in managers.items() if m != manager]
        base = without(copy.deepcopy(live), managers.get(manager, {}), config, others)
        config = copy.deepcopy(config)
        if resource == "services" and "selector" in config.get("spec", {}):
            base.get("spec", {}).pop("selector", None)  # one value, not a map to be merged
        return merge(base, config)

    def apply(self, resource: str, namespace: str, name: str, config: dict, manager: str) -> dict:
        found = self.becoming(resource, namespace, name, config, manager)
        self.applied.setdefault((resource, namespace, name), {})[manager] = copy.deepcopy(config)
        return self.put(resource, found)

    def remove(self, resource: str, namespace: str, name: str) -> dict:
        found = self.get(resource, namespace, name)
        del self.objects[resource, namespace, name]
        self.applied.pop((resource, namespace, name), None)
        return found


def matches(selector: dict, labels: dict) -> bool:
    return selector.items() <= labels.items()


def owner_uids(found: dict) -> set[str]:
    return {o["uid"] for o in found["metadata"].get("ownerReferences", [])}


def owned_by(found: dict, api: str, kind: str) -> dict:
    """A reference to `found` as owner."""
    meta = found["metadata"]
    return {"apiVersion": api, "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}
