"""Network policies: nothing may talk to anything but for the flows in FLOWS."""

from manifests import NAMESPACE

NAME = "app.kubernetes.io/name"

# From → to and port, for the base; and what each component adds and takes away, told by a
# pod or object that comes with it.
FLOWS = {
    "kube-system/traefik → order-service:http-app",
    "monitoring/prometheus → order-service:http-app",
    "order-service → kube-system/kube-dns:53",
    "order-service → order-postgres:5432",
    "order-service → order-redis:6379",
    "order-service → microservices/product-service:8002",
    "order-service → order-collector:4318",
    "order-migrations → kube-system/kube-dns:53",
    "order-migrations → order-postgres:5432",
    "order-collector → kube-system/kube-dns:53",
    "order-collector → monitoring/jaeger:4317",
    "monitoring/prometheus → order-collector:8889",
}
BACKUP = {
    "order-postgres-backup → kube-system/kube-dns:53",
    "order-postgres-backup → order-postgres:5432",
}
POOLER = {
    "order-service → order-pgbouncer:5432",
    "order-pgbouncer → kube-system/kube-dns:53",
    "order-pgbouncer → order-postgres:5432",
    "erase → order-postgres:5432",
}
# Pods of no overlay, which are started beside it: k8s/erase.
GUESTS = {"erase"}


DATABASE = {
    "order-service → order-database:5432",
    "order-migrations → order-database:5432",
    "order-database → order-database:5432",
    "order-database → order-database:8000",
    "cnpg-system/cloudnative-pg → order-database:5432",
    "cnpg-system/cloudnative-pg → order-database:8000",
    "monitoring/prometheus → order-database:9187",
    "order-database → kube-system/kube-dns:53",
    "order-database → 0.0.0.0/0:6443",
    "order-database → 0.0.0.0/0:443",
}
# Who may leave for an address that is no pod's: the API server and the archive.
ADDRESSES = {("order-database", 6443), ("order-database", 443)}


def _expected(cluster) -> set[str]:
    flows = set(FLOWS)
    if _pods(cluster, "order-database"):
        flows = {flow for flow in flows if "→ order-postgres:" not in flow} | DATABASE
    if _pods(cluster, "order-postgres-backup"):
        flows |= BACKUP
    if _pods(cluster, "order-pgbouncer"):
        flows = flows - {"order-service → order-postgres:5432"} | POOLER
    if cluster.of("HTTPScaledObject"):
        flows -= {"kube-system/traefik → order-service:http-app"}
        flows |= {"keda/interceptor → order-service:http-app"}
    return flows


def _pods(cluster, name: str):
    return cluster.selected({NAME: name})


def _policies(cluster):
    for policy in cluster.of("NetworkPolicy"):
        if policy["spec"]["podSelector"]:
            yield _name(policy["spec"]), policy


def _name(end: dict) -> str:
    """The pods that a selector is about, as FLOWS writes it."""
    labels = end.get("podSelector", {}).get("matchLabels", {})
    return (
        labels.get(NAME) or labels.get("app") or labels.get("k8s-app")
        or labels.get("app.kubernetes.io/component") or "anything"
    )


def _peer(peer: dict) -> str:
    """The other end, as FLOWS writes it."""
    if "ipBlock" in peer:
        return peer["ipBlock"]["cidr"]
    name = _name(peer)
    space = peer.get("namespaceSelector")
    if space is None:
        return name
    return f"{space.get('matchLabels', {}).get('kubernetes.io/metadata.name', 'anywhere')}/{name}"


def _rules(cluster):
    """(policy's own pods, direction, peer, port) of every rule."""
    for name, policy in _policies(cluster):
        for direction, end in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                for peer in rule.get(end) or [{}]:
                    for port in rule.get("ports") or [{"port": "any"}]:
                        yield name, direction, _peer(peer), port.get("port", "any")


def everything_is_denied_first(cluster):
    for policy in cluster.of("NetworkPolicy"):
        spec = policy["spec"]
        if spec["podSelector"] == {} and not spec.get("ingress") and not spec.get("egress"):
            if set(spec.get("policyTypes", [])) == {"Ingress", "Egress"}:
                return
    yield "no policy denies all traffic of the namespace, in and out"


def rules_are_narrow(cluster):
    """No rule without peers or ports, no empty selector, no range of addresses."""
    for policy in cluster.of("NetworkPolicy"):
        where = f"policy {policy['metadata']['name']}"
        for direction, end in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction) or []:
                if not rule.get(end):
                    yield f"{where}: a rule of {direction} is open to everybody"
                if not rule.get("ports") or any("port" not in p for p in rule["ports"]):
                    yield f"{where}: a rule of {direction} is open on every port"
                for peer in rule.get(end) or []:
                    if "ipBlock" in peer:
                        ports = {(policy["metadata"]["name"], p.get("port")) for p in rule.get("ports", [])}
                        if direction == "ingress" or not ports <= ADDRESSES:
                            yield f"{where}: a rule of {direction} names a range of addresses"
                        continue
                    for selector in ("podSelector", "namespaceSelector"):
                        if selector in peer and not peer[selector].get("matchLabels"):
                            yield f"{where}: an empty {selector} selects everything"
                    if "podSelector" not in peer:
                        yield f"{where}: a rule of {direction} is open to a whole namespace"


def policies_cover_pods(cluster):
    """Every policy selects pods of this overlay, and every pod is selected by one."""
    for name, policy in _policies(cluster):
        if name not in GUESTS and not cluster.selected(policy["spec"]["podSelector"]):
            yield f"policy {policy['metadata']['name']} selects no pod"
        if set(policy["spec"].get("policyTypes", [])) != {"Ingress", "Egress"}:
            yield f"policy {policy['metadata']['name']} leaves a direction to others"
    covered = {name for name, _ in _policies(cluster)}
    for pod in cluster.pods():
        if pod.labels.get(NAME) not in covered:
            yield f"no policy is about {pod.owner}"


def both_ends_agree(cluster):
    """Within the namespace a flow needs a rule at either end, and a port that listens."""
    rules = list(_rules(cluster))
    ours = {pod.labels.get(NAME) for pod in cluster.pods()} | GUESTS
    for name, direction, peer, port in rules:
        if peer not in ours:
            if "/" not in peer and peer not in cluster.external:
                yield f"policy {name}: {direction} names the pods {peer}, which do not exist"
            continue
        other = "ingress" if direction == "egress" else "egress"
        if (peer, other, name, port) not in rules:
            yield f"policy {name} allows {direction} {peer}:{port}, but {peer} does not allow it"
    for name, direction, peer, port in rules:
        server = name if direction == "ingress" else peer
        for pod in _pods(cluster, server) if server in ours else []:
            if pod.port(port) is None:
                yield f"policy {name}: {pod.owner} does not listen on port {port}"


def flows_are_those_expected(cluster):
    found = set()
    for name, direction, peer, port in _rules(cluster):
        source, target = (peer, name) if direction == "ingress" else (name, peer)
        found.add(f"{source} → {target}:{port}")
    expected = _expected(cluster)
    for flow in sorted(found - expected):
        yield f"{flow} is allowed, but nothing needs it"
    for flow in sorted(expected - found):
        yield f"{flow} is needed, but not allowed"


def addresses_are_reachable(cluster):
    """What the settings name is a Service of this overlay or a flow out of it."""
    allowed = {(n, p, str(port)) for n, d, p, port in _rules(cluster) if d == "egress"}
    for address in _addresses(cluster):
        host, _, port = address.rpartition(":")
        name, _, rest = host.partition(".")
        namespace = rest.split(".")[0] or NAMESPACE
        if namespace != NAMESPACE:
            if ("order-service", f"{namespace}/{name}", port) not in allowed:
                yield f"the settings name {address}, which no policy lets the service reach"
            continue
        service = cluster.get("Service", name)
        if service is None:
            if name not in cluster.external:
                yield f"the settings name {address}, but there is no service {name}"
            continue
        ports = {str(p["port"]): p.get("targetPort", p["port"]) for p in service["spec"]["ports"]}
        if port not in ports:
            yield f"the settings name {address}, but the service {name} has no port {port}"
            continue
        for pod in cluster.selected(service["spec"]["selector"]):
            wanted = ("order-service", pod.labels[NAME], str(pod.port(ports[port])))
            if wanted not in allowed:
                yield f"the settings name {address}, which no policy lets the service reach"


def _addresses(cluster):
    settings = next(
        (c["data"] for c in cluster.of("ConfigMap") if "product_service_url" in c.get("data", {})),
        {},
    )
    for key in ("database_host", "redis_host"):
        if key in settings:
            yield settings[key]
    urls = [settings.get("product_service_url", "")]
    for pod in _pods(cluster, "order-service"):
        for entry in pod.spec["containers"][0].get("env", []):
            if entry["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT":
                urls.append(entry["value"])
    for url in filter(None, urls):
        scheme, _, rest = url.partition("://")
        host = rest.split("/")[0]
        yield host if ":" in host else f"{host}:{443 if scheme == 'https' else 80}"
