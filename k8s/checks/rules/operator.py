"""What the operator's webhooks refuse, what it leaves undone, and what has to fit."""

import configparser
import re

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

# Connections to Postgres that the host of one pod may hold.
POOL = 64
# Those of the migrations, the backup and the administrator.
SPARE = 20


def quantity(text) -> int | None:
    match = re.fullmatch(r"(\d+)([kMG]i?|)", str(text))
    return int(match[1]) * UNITS[match[2]] if match and match[2] in UNITS else None


def executor_is_in_the_namespace(cluster):
    for app in cluster.of("SpinApp"):
        name = app["spec"].get("executor")
        executor = cluster.get("SpinAppExecutor", name or "", app["metadata"]["namespace"])
        if executor is None:
            yield f"the executor {name} does not exist in the SpinApp's namespace"
            continue
        config = executor["spec"].get("deploymentConfig", {})
        if ("runtimeClassName" in config) == ("spinImage" in config):
            yield f"the executor {name} must have either runtimeClassName or spinImage"
        annotated = {"deploymentAnnotations", "podAnnotations"} & app["spec"].keys()
        if annotated and not executor["spec"]["createDeployment"]:
            yield f"{annotated} have no effect without createDeployment"


def replicas_have_one_owner(cluster):
    scalers = cluster.of("HorizontalPodAutoscaler") + cluster.of("HTTPScaledObject")
    for app in cluster.of("SpinApp"):
        scaled = app["spec"].get("enableAutoscaling", False)
        replicas = app["spec"].get("replicas", 0)
        name = app["metadata"]["name"]
        if scaled and replicas:
            yield "a SpinApp has either enableAutoscaling or replicas"
        if not scaled and replicas < 1:
            yield "a SpinApp without enableAutoscaling needs replicas"
        if scaled and not any(s["spec"]["scaleTargetRef"]["name"] == name for s in scalers):
            yield f"nothing scales {name}"
    if len(scalers) != 1:
        yield f"{len(scalers)} autoscalers"
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]["name"]
        workload = cluster.get("Deployment", target)
        for container in workload["spec"]["template"]["spec"]["containers"] if workload else []:
            if "cpu" not in container.get("resources", {}).get("requests", {}):
                yield f"{target} requests no CPU, so its use cannot be measured"


def limits_are_in_order(cluster):
    for app in cluster.of("SpinApp"):
        limit = app["spec"].get("invocationLimits", {}).get("memory")
        resources = app["spec"].get("resources", {})
        bound = resources.get("limits", {}).get("memory") or resources.get("requests", {}).get("memory")
        if limit is None or quantity(limit) is None:
            yield f"invocationLimits.memory is not a quantity: {limit}"
        elif bound and quantity(limit) > quantity(bound):
            yield f"invocationLimits.memory {limit} is more than the pod's {bound}"
    for pod in cluster.pods():
        for container in pod.containers():
            resources = container.get("resources", {})
            requested = quantity(resources.get("requests", {}).get("memory", 0))
            limit = quantity(resources.get("limits", {}).get("memory", "1000G"))
            if requested is None or limit is None or requested > limit:
                yield f"{pod.owner}: {container['name']} requests more memory than its limit"


def _max_connections(cluster) -> int | None:
    postgres = cluster.get("StatefulSet", "order-postgres")
    if postgres:
        arguments = postgres["spec"]["template"]["spec"]["containers"][0]["args"]
        return next(int(a.split("=")[1]) for a in arguments if a.startswith("max_connections="))
    database = cluster.get("Cluster", "order-database")
    return int(database["spec"]["postgresql"]["parameters"]["max_connections"]) if database else None


def connections_suffice(cluster):
    """All replicas' connections fit Postgres's max_connections, or the pooler's."""
    replicas = max(
        [h["spec"]["maxReplicas"] for h in cluster.of("HorizontalPodAutoscaler")]
        + [h["spec"]["replicas"]["max"] for h in cluster.of("HTTPScaledObject")],
        default=0,
    )
    most = _max_connections(cluster)
    if most is None:
        return
    pooler = cluster.get("Deployment", "order-pgbouncer")
    if pooler is None:
        if replicas * POOL + SPARE > most:
            yield f"{replicas} replicas may hold {replicas * POOL} connections, Postgres has {most}"
        return
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(
        next(c["data"]["pgbouncer.ini"] for c in cluster.of("ConfigMap")
             if "pgbouncer.ini" in c.get("data", {}))
    )
    size = int(re.search(r"pool_size=(\d+)", config["databases"]["orders"])[1])
    if pooler["spec"]["replicas"] * size + SPARE > most:
        yield f"the poolers may hold more connections than Postgres's {most}"
    if replicas * POOL > int(config["pgbouncer"]["max_client_conn"]):
        yield f"{replicas} replicas may hold more connections than the pooler takes"
    if config["pgbouncer"]["pool_mode"] != "transaction":
        yield "the pooler does not pool by transaction"
    if int(config["pgbouncer"].get("max_prepared_statements", 0)) < 1:
        yield "the pooler does not follow prepared statements"
