"""Whether a node takes a pod."""

import re

from fake.store import matches

UNITS = {"m": 1e-3, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def amount(text) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", str(text)).groups()
    return float(number) * UNITS[unit]


def asked(pod: dict, what: str) -> float:
    return sum(amount(c.get("resources", {}).get("requests", {}).get(what, 0)) for c in pod["spec"]["containers"])


def fits(world, pod: dict) -> tuple[str | None, str]:
    """A node, or in the scheduler's words why there is none."""
    classes = world.store.find("runtimeclasses", "", pod["spec"].get("runtimeClassName", "")) or {}
    selector = pod["spec"].get("nodeSelector", {}) | classes.get("scheduling", {}).get("nodeSelector", {})
    nodes, why = world.store.all("nodes"), []
    for node in nodes:
        name = node["metadata"]["name"]
        if not matches(selector, node["metadata"]["labels"]):
            why.append("1 node(s) didn't match Pod's node affinity/selector")
            continue
        there = [p for p in world.store.all("pods") if p["spec"].get("nodeName") == name
                 and p["status"]["phase"] not in ("Succeeded", "Failed")]
        lacking = [what for what in ("cpu", "memory")
                   if amount(node["status"]["allocatable"][what]) < asked(pod, what) + sum(asked(p, what) for p in there)]
        if not lacking:
            return name, ""
        why += [f"1 Insufficient {what}" for what in lacking]
    return None, f"0/{len(nodes)} nodes are available: {', '.join(why)}."
