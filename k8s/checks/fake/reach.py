"""Who reaches whom: policies, Services and ways in."""

from fake.store import matches

TRAEFIK = ("kube-system", {"app.kubernetes.io/name": "traefik"})
INTERCEPTOR = ("keda", {"app.kubernetes.io/component": "interceptor", "app.kubernetes.io/part-of": "keda-add-ons-http"})
SERVICE = "order-service"


def allowed(store, source: tuple[str, dict], target: tuple[str, dict], port: dict, direction: str) -> bool:
    """Whether the policies at one end let it through. `port` has a number and a name."""
    here, there = (target, source) if direction == "ingress" else (source, target)
    selecting = [
        p["spec"] for p in store.all("networkpolicies", here[0])
        if direction.capitalize() in p["spec"].get("policyTypes", [])
        and matches(p["spec"]["podSelector"].get("matchLabels", {}), here[1])
    ]
    end = "from" if direction == "ingress" else "to"
    return not selecting or any(
        _is_peer(peer, here[0], there) and _is_port(rule.get("ports"), port)
        for spec in selecting for rule in spec.get(direction, []) for peer in rule.get(end, [])
    )


def _is_peer(peer: dict, home: str, there: tuple[str, dict]) -> bool:
    if "ipBlock" in peer:
        return False
    space = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", home)
    return space == there[0] and matches(peer.get("podSelector", {}).get("matchLabels", {}), there[1])


def _is_port(ports: list | None, port: dict) -> bool:
    return not ports or any(p.get("port") in (port["number"], port.get("name")) for p in ports)


def labels(pod: dict) -> tuple[str, dict]:
    return pod["metadata"].get("namespace", ""), pod["metadata"].get("labels", {})


def port_of(pod: dict, wanted) -> dict | None:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", []):
            if wanted in (port["containerPort"], port.get("name")):
                return {"number": port["containerPort"], "name": port.get("name")}
    return None


def is_ready(pod: dict) -> bool:
    return pod["status"].get("ready", False) and "deletionTimestamp" not in pod["metadata"]


def endpoints(store, namespace: str, name: str) -> list[tuple[dict, dict]]:
    """The ready pods behind a Service, each with its port."""
    service = store.find("services", namespace, name)
    if service is None:
        return []
    found = []
    for pod in store.all("pods", namespace):
        if is_ready(pod) and matches(service["spec"]["selector"], pod["metadata"]["labels"]):
            port = port_of(pod, service["spec"]["ports"][0].get("targetPort"))
            if port:
                found.append((pod, port))
    return found


def served(store) -> set[str]:
    """Names of the service's pods that a request from outside may reach."""
    found = set()
    for ingress in store.all("ingresses"):
        namespace = ingress["metadata"]["namespace"]
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                name = path["backend"]["service"]["name"]
                if name == SERVICE:
                    found |= _through(store, TRAEFIK)
                elif namespace == "keda" and store.all("httpscaledobjects"):
                    found |= _through(store, INTERCEPTOR)
    return found


def _through(store, source) -> set[str]:
    return {pod["metadata"]["name"] for pod, port in endpoints(store, SERVICE, SERVICE)
            if allowed(store, source, labels(pod), port, "ingress")}


def has_its_database(store, pod: dict) -> bool:
    """/ready of the service: the host of its settings leads to a Postgres that lets it in."""
    env = {e["name"]: e.get("valueFrom", {}).get("configMapKeyRef") for e in pod["spec"]["containers"][0].get("env", [])}
    source = env.get("SPIN_VARIABLE_DATABASE_HOST")
    settings = source and store.find("configmaps", labels(pod)[0], source["name"])
    if not settings:
        return False
    name, _, port = settings["data"][source["key"]].partition(":")
    there = endpoints(store, labels(pod)[0], name)
    return any(
        allowed(store, labels(pod), labels(server), {"number": int(port)}, "egress")
        and allowed(store, labels(pod), labels(server), listening, "ingress")
        for server, listening in there
    )
