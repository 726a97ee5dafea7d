"""What one object says of another must be so."""

from manifests import APP_LABEL, example_secrets

CLUSTER_WIDE = {"Namespace", "RuntimeClass", "ClusterRole", "ClusterRoleBinding"}

# Services of other systems that ways in may lead to: name → (namespace, port).
FOREIGN_SERVICES = {"keda-add-ons-http-interceptor-proxy": ("keda", 8080)}


def name_of(found: dict) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def names_are_unique_and_namespaced(cluster):
    seen = set()
    namespaces = {n["metadata"]["name"] for n in cluster.of("Namespace")} | {"keda"}
    for found in cluster.objects:
        namespace = found["metadata"].get("namespace")
        if found["kind"] not in CLUSTER_WIDE and namespace not in namespaces:
            yield f"{name_of(found)} is in the unknown namespace {namespace}"
        identity = (found["kind"], namespace, found["metadata"]["name"])
        if identity in seen:
            yield f"{name_of(found)} is there twice"
        seen.add(identity)


def _keys(cluster, kind: str, name: str) -> set[str] | None:
    found = cluster.get(kind, name)
    if found:
        parts = ("data", "stringData", "binaryData")
        return {key for part in parts for key in found.get(part) or {}}
    if kind == "Secret" and name in example_secrets():
        return set(example_secrets()[name])
    return None


def keys_exist(cluster):
    """Secrets and ConfigMaps in environments and volumes."""
    for pod in cluster.pods():
        wanted = []
        for container in pod.containers():
            for entry in container.get("env", []):
                source = entry.get("valueFrom", {})
                for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                    if field in source:
                        wanted.append((kind, source[field]["name"], source[field]["key"]))
        for volume in pod.spec.get("volumes", []):
            for field, kind, name in (("secret", "Secret", "secretName"),
                                      ("configMap", "ConfigMap", "name")):
                if field in volume:
                    items = volume[field].get("items", [{"key": None}])
                    wanted += [(kind, volume[field][name], item["key"]) for item in items]
        for kind, name, key in wanted:
            keys = _keys(cluster, kind, name)
            if keys is None:
                yield f"{pod.owner} names the {kind} {name}, which does not exist"
            elif key is not None and key not in keys:
                yield f"{pod.owner} names the key {key}, which the {kind} {name} lacks"


def secrets_of_the_database_exist(cluster):
    """Those that a Cluster of CloudNativePG and the store of its archive name."""
    wanted = []
    for database in cluster.of("Cluster"):
        spec = database["spec"]
        names = [role["passwordSecret"]["name"] for role in spec["managed"]["roles"]]
        names.append(spec["bootstrap"]["initdb"]["secret"]["name"])
        wanted += [(name, key) for name in names for key in ("username", "password")]
        for role in spec["managed"]["roles"]:
            made = example_secrets().get(role["passwordSecret"]["name"], {})
            if made.get("username") != role["name"]:
                yield f"the Secret of the role {role['name']} names {made.get('username')}"
        for ref in spec["bootstrap"]["initdb"]["postInitApplicationSQLRefs"]["configMapRefs"]:
            if ref["key"] not in (_keys(cluster, "ConfigMap", ref["name"]) or ()):
                yield f"{name_of(database)} names {ref['key']} of {ref['name']}, which is not there"
    for store in cluster.of("ObjectStore"):
        wanted += [(k["name"], k["key"]) for k in store["spec"]["configuration"]["s3Credentials"].values()]
    for name, key in wanted:
        if key not in (_keys(cluster, "Secret", name) or ()):
            yield f"the key {key} of the Secret {name} does not exist"


def volumes_exist(cluster):
    claims = {c["metadata"]["name"] for c in cluster.of("PersistentVolumeClaim")}
    for pod in cluster.pods():
        volumes = {v["name"] for v in pod.spec.get("volumes", [])}
        kind, name = pod.owner.split()
        if kind == "StatefulSet":
            templates = cluster.get(kind, name)["spec"].get("volumeClaimTemplates", [])
            volumes |= {t["metadata"]["name"] for t in templates}
        mounted = {m["name"] for c in pod.containers() for m in c.get("volumeMounts", [])}
        for missing in mounted - volumes:
            yield f"{pod.owner} mounts the volume {missing}, which it does not declare"
        if not pod.by_operator:
            for unused in volumes - mounted:
                yield f"{pod.owner} declares the volume {unused} and mounts it nowhere"
        for volume in pod.spec.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                yield f"{pod.owner} names the claim {claim}, which does not exist"


def accounts_exist(cluster):
    for pod in cluster.pods():
        if pod.is_of_the_database():
            continue
        name = pod.spec.get("serviceAccountName")
        account = cluster.get("ServiceAccount", name or "", pod.namespace)
        if account is None:
            yield f"{pod.owner} runs under the service account {name}, which does not exist"
        elif account.get("automountServiceAccountToken") is not False:
            yield f"the service account {name} puts its token into pods"
        wanted = pod.spec.get("runtimeClassName")
        if wanted and not cluster.get("RuntimeClass", wanted, None):
            yield f"{pod.owner} wants the runtime class {wanted}, which does not exist"


def services_lead_to_pods(cluster):
    for service in cluster.of("Service"):
        pods = cluster.selected(service["spec"]["selector"], service["metadata"]["namespace"])
        if not pods:
            yield f"{name_of(service)} selects no pod"
        for pod in pods:
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if pod.port(target) is None:
                    yield f"{name_of(service)} leads to port {target}, which {pod.owner} lacks"
    for workload in cluster.objects:
        selector = workload.get("spec", {}).get("selector", {}).get("matchLabels")
        if workload["kind"] not in ("Deployment", "StatefulSet"):
            continue
        owners = {pod.owner for pod in cluster.selected(selector)}
        if owners != {name_of(workload)}:
            yield f"{name_of(workload)} selects the pods of {sorted(owners)}"
        if workload["kind"] == "StatefulSet" and not cluster.get(
            "Service", workload["spec"]["serviceName"]
        ):
            yield f"{name_of(workload)} names a service that does not exist"


def _service_problem(cluster, namespace: str, name: str, port: dict) -> str | None:
    number = port.get("number")
    if FOREIGN_SERVICES.get(name) == (namespace, number):
        return None
    service = cluster.get("Service", name, namespace)
    if service is None:
        return f"leads to the service {name} in {namespace}, which does not exist"
    for offered in service["spec"]["ports"]:
        if offered["port"] == number or offered.get("name", "") == port.get("name"):
            return None
    return f"leads to port {port} of the service {name}, which it lacks"


def ways_in_lead_to_services(cluster):
    ingresses = cluster.of("Ingress")
    if not ingresses:
        yield "there is no Ingress"
    for ingress in ingresses:
        namespace = ingress["metadata"]["namespace"]
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                problem = _service_problem(cluster, namespace, service["name"], service["port"])
                if problem:
                    yield f"{name_of(ingress)} {problem}"
        annotation = "traefik.ingress.kubernetes.io/router.middlewares"
        wanted = ingress["metadata"].get("annotations", {}).get(annotation)
        there = {
            f"{m['metadata']['namespace']}-{m['metadata']['name']}@kubernetescrd"
            for m in cluster.of("Middleware")
        }
        if wanted and not set(wanted.split(",")) <= there:
            yield f"{name_of(ingress)} names the middleware {wanted}, which does not exist"


def scalers_and_budgets_have_targets(cluster):
    for kind in ("HorizontalPodAutoscaler", "HTTPScaledObject"):
        for scaler in cluster.of(kind):
            target = scaler["spec"]["scaleTargetRef"]
            workload = cluster.get(target["kind"], target["name"])
            if workload is None:
                yield f"{name_of(scaler)} scales {target['kind']} {target['name']}, which does not exist"
            elif "replicas" in workload["spec"]:
                yield f"{name_of(workload)} sets replicas, which {name_of(scaler)} owns"
            if kind == "HTTPScaledObject":
                problem = _service_problem(
                    cluster, scaler["metadata"]["namespace"], target["service"],
                    {"number": target["port"]},
                )
                if problem:
                    yield f"{name_of(scaler)} {problem}"
                hosts = {r["host"] for i in cluster.of("Ingress") for r in i["spec"]["rules"]}
                if hosts != set(scaler["spec"]["hosts"]):
                    yield f"{name_of(scaler)} listens to other hosts than the Ingress: {hosts}"
    for budget in cluster.of("PodDisruptionBudget"):
        if not cluster.selected(budget["spec"]["selector"]):
            yield f"{name_of(budget)} selects no pod"


def monitors_lead_to_services(cluster):
    for monitor in cluster.of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        services = [
            s for s in cluster.of("Service")
            if wanted.items() <= s["metadata"].get("labels", {}).items()
        ]
        if not services:
            yield f"{name_of(monitor)} selects no service"
        for service in services:
            pods = cluster.selected(service["spec"]["selector"])
            for endpoint in monitor["spec"]["endpoints"]:
                names = {port.get("name") for port in service["spec"]["ports"]}
                if "port" in endpoint and endpoint["port"] not in names:
                    yield f"{name_of(monitor)} reads port {endpoint['port']}, which {name_of(service)} lacks"
                if "targetPort" in endpoint and not all(p.port(endpoint["targetPort"]) for p in pods):
                    yield f"{name_of(monitor)} reads port {endpoint['targetPort']}, which the pods lack"
    for monitor in cluster.of("PodMonitor"):
        pods = cluster.selected(monitor["spec"]["selector"])
        if not pods:
            yield f"{name_of(monitor)} selects no pod"
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            if not all(pod.port(endpoint["port"]) for pod in pods):
                yield f"{name_of(monitor)} reads port {endpoint['port']}, which the pods lack"
    labelled = [s for s in cluster.of("Service") if APP_LABEL in s["metadata"].get("labels", {})]
    if len(labelled) != 1:
        yield f"{len(labelled)} services carry the label {APP_LABEL}"
