"""What must go on while a pod, a board or a version goes away."""

# How long the ingress may take to forget a pod that is about to end.
FORGOTTEN_S = 2

# Requests in flight, all together, that one replica bears within its limit of memory.
BEARABLE = 256


def requests_in_flight_are_bounded(cluster):
    """Where Traefik is the way in, each Ingress names a bound that one replica bears alone."""
    bounds = {
        f"{m['metadata']['namespace']}-{m['metadata']['name']}@kubernetescrd":
            m["spec"]["inFlightReq"]["amount"]
        for m in cluster.of("Middleware") if "inFlightReq" in m["spec"]
    }
    for ingress in cluster.of("Ingress"):
        if ingress["spec"].get("ingressClassName") != "traefik":
            continue
        name = ingress["metadata"]["name"]
        named = ingress["metadata"].get("annotations", {}).get(
            "traefik.ingress.kubernetes.io/router.middlewares", "").split(",")
        amounts = [bounds[middleware] for middleware in named if middleware in bounds]
        if not amounts:
            yield f"the Ingress {name} lets in any number of requests at the same time"
        for amount in amounts:
            if amount > BEARABLE:
                yield f"the Ingress {name} lets in {amount} requests, one replica bears {BEARABLE}"


def rollouts_lose_nothing(cluster):
    """A pod is replaced before it goes, and goes when nothing is under way in it any more. For
    the SpinApp's pods the operator allows no more than two replicas and the budget."""
    settings = next(c["data"] for c in cluster.of("ConfigMap") if "request_timeout_ms" in c.get("data", {}))
    for scaler in cluster.of("HorizontalPodAutoscaler"):
        if scaler["spec"].get("minReplicas", 1) < 2:
            yield f"{scaler['metadata']['name']} may leave a single replica, whose end is felt"
    budgets = [b["spec"] for b in cluster.of("PodDisruptionBudget")]
    deployment = cluster.get("Deployment", "order-service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    kept = [b for b in budgets if b["selector"]["matchLabels"].items() <= labels.items()]
    if not any(budget.get("maxUnavailable") == 1 for budget in kept):
        yield "a drained board may take all replicas at once"
    if deployment.get("byOperator"):
        return
    spec = deployment["spec"]
    rolling = spec.get("strategy", {}).get("rollingUpdate", {})
    if rolling.get("maxUnavailable") != 0 or not rolling.get("maxSurge"):
        yield "a rollout takes a replica away before it has another one"
    if not spec.get("minReadySeconds"):
        yield "an old replica may go before the ingress knows the new one"
    pod = spec["template"]["spec"]
    hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {})
    waits = hook.get("sleep", {}).get("seconds", 0)
    needed = FORGOTTEN_S + int(settings["request_timeout_ms"]) / 1000
    if waits < needed:
        yield f"a pod is told to stop after {waits} s, when requests may take {needed} s to be gone"
    if pod.get("terminationGracePeriodSeconds", 30) <= waits:
        yield "a pod is killed before it is told to stop"


def a_board_may_fail(cluster):
    """A cluster of Postgres keeps every answered order, and serves on, without any one board."""
    for database in cluster.of("Cluster"):
        spec, name = database["spec"], database["metadata"]["name"]
        synchronous = spec["postgresql"].get("synchronous", {})
        if spec["instances"] < 3:
            yield f"{name} has {spec['instances']} instances: with one gone, no standby can confirm"
        if synchronous.get("number", 0) != 1 or synchronous.get("dataDurability") != "required":
            yield f"{name} does not wait for one standby before it confirms"
        if not synchronous.get("failoverQuorum"):
            yield f"{name} may make a standby the primary that lacks confirmed orders"
        if spec.get("affinity", {}).get("podAntiAffinityType") != "required":
            yield f"{name} may put two instances on one board"
        archivers = [p for p in spec.get("plugins", []) if p.get("isWALArchiver")]
        if len(archivers) != 1:
            yield f"{name} is not archived"
        for archiver in archivers:
            store = archiver["parameters"]["barmanObjectName"]
            if cluster.get("ObjectStore", store) is None:
                yield f"{name} is archived to {store}, which does not exist"
        backups = [b for b in cluster.of("ScheduledBackup") if b["spec"]["cluster"]["name"] == name]
        if not backups:
            yield f"{name} has no scheduled backup"
