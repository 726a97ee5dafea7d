"""Mistakes that people make, each of which the checks must find: an overlay is rendered, one
thing in it is spoilt, and some check has to name it."""

import copy

import pytest

import mistakes_of_the_database
import rules
import schemas
from manifests import NAMESPACE, Cluster, build
from mistakes_of_the_database import get, policy, settings

K3S, PLAIN, LARGE = "overlays/k3s-arm64", "overlays/deployment", "overlays/autoscale"


def container(objects, kind, name):
    return get(objects, kind, name)["spec"]["template"]["spec"]["containers"][0]


def app(objects):
    return get(objects, "SpinApp", "order-service")["spec"]


def variable(objects, name):
    return next(v for v in app(objects)["variables"] if v["name"] == name)


def ingress_path(objects, number=0):
    return get(objects, "Ingress", "order-service")["spec"]["rules"][0]["http"]["paths"][number]


def unknown_field_in_a_spin_app(o):
    app(o)["livenessProbe"] = {}


def unknown_field_in_a_stateful_set(o):
    container(o, "StatefulSet", "order-postgres")["resource"] = {}


def unknown_field_in_metadata(o):
    get(o, "SpinApp", "order-service")["metadata"]["label"] = {}


def field_of_the_wrong_type(o):
    get(o, "HorizontalPodAutoscaler", "order-service")["spec"]["maxReplicas"] = "four"


def unknown_field_in_a_monitor(o):
    get(o, "ServiceMonitor", "order-service")["spec"]["endpoints"][0]["intervall"] = "30s"


def wrong_port_of_the_ingress(o):
    ingress_path(o)["backend"]["service"]["port"]["number"] = 8003


def wrong_name_of_the_service(o):
    ingress_path(o)["backend"]["service"]["name"] = "orders"


def wrong_target_port_of_a_service(o):
    get(o, "Service", "order-redis")["spec"]["ports"][0]["targetPort"] = 6380


def selector_typo_in_a_service(o):
    get(o, "Service", "order-postgres")["spec"]["selector"] = {"app.kubernetes.io/name": "order-postgre"}


def selector_typo_in_the_budget(o):
    get(o, "PodDisruptionBudget", "order-service")["spec"]["selector"]["matchLabels"] = {"app": "orders"}


def scaler_of_another_deployment(o):
    get(o, "HorizontalPodAutoscaler", "order-service")["spec"]["scaleTargetRef"]["name"] = "orders"


def missing_key_of_the_config_map(o):
    del settings(o)["product_attempts"]


def missing_key_of_a_secret(o):
    variable(o, "database_url")["valueFrom"]["secretKeyRef"]["key"] = "DATABASE_URL"


def missing_secret(o):
    app(o)["runtimeConfig"]["loadFromSecret"] = "runtime-config"


def missing_variable(o):
    app(o)["variables"].remove(variable(o, "order_cache_ttl_s"))


def missing_variable_of_the_deployment(o):
    container(o, "Deployment", "order-service")["env"].pop()


def variable_that_the_manifest_lacks(o):
    app(o)["variables"].append({"name": "cache_ttl", "value": "300"})


def password_in_the_config_map(o):
    variable(o, "redis_url")["valueFrom"] = {"configMapKeyRef": {"name": "order-service", "key": "redis_url"}}


def host_that_the_url_does_not_name(o):
    settings(o)["database_host"] = "order-postgres:5433"


def policy_that_is_open_to_everybody(o):
    del policy(o, "order-redis")["ingress"][0]["from"]


def policy_that_is_open_on_every_port(o):
    del policy(o, "order-postgres")["ingress"][0]["ports"]


def policy_that_is_open_to_the_namespace(o):
    policy(o, "order-redis")["ingress"][0]["from"].append({"podSelector": {}})


def policy_that_lets_out_to_the_world(o):
    policy(o, "order-service")["egress"].append(
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443, "protocol": "TCP"}]}
    )


def policy_without_denial(o):
    o.remove(get(o, "NetworkPolicy", "default-deny"))


def policy_without_names(o):
    del policy(o, "order-service")["egress"][0]


def policy_of_one_end_only(o):
    policy(o, "order-postgres")["ingress"][0]["from"].pop(0)


def policy_with_a_typo_in_its_selector(o):
    policy(o, "order-redis")["podSelector"]["matchLabels"] = {"app.kubernetes.io/name": "redis"}


def product_service_on_another_port(o):
    settings(o)["product_service_url"] = "http://product-service.microservices.svc.cluster.local:8080"


def collector_on_another_port(o):
    executor = get(o, "SpinAppExecutor", "containerd-shim-spin")["spec"]["deploymentConfig"]
    executor["otel"]["exporter_otlp_endpoint"] = "http://order-collector.order-service.svc.cluster.local:4317"


def root(o):
    get(o, "StatefulSet", "order-redis")["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0


def mutable_tag(o):
    container(o, "StatefulSet", "order-redis")["image"] = "docker.io/library/redis:alpine"


def image_without_a_digest(o):
    app(o)["image"] = "ghcr.io/example/order-service:1.0.0"


def container_without_resources(o):
    del container(o, "Deployment", "order-collector")["resources"]


def token_in_a_pod(o):
    get(o, "ServiceAccount", "order-service")["automountServiceAccountToken"] = True


def replicas_beside_an_autoscaler(o):
    app(o)["replicas"] = 2


def replicas_of_nobody(o):
    app(o)["enableAutoscaling"] = False


def executor_of_another_namespace(o):
    get(o, "SpinAppExecutor", "containerd-shim-spin")["metadata"]["namespace"] = "default"


def instance_larger_than_its_pod(o):
    app(o)["invocationLimits"]["memory"] = "640Mi"


def requests_without_a_bound(o):
    annotations = get(o, "Ingress", "order-service")["metadata"]["annotations"]
    annotations["traefik.ingress.kubernetes.io/router.middlewares"] = "order-service-retry@kubernetescrd"


def requests_without_a_bound_by_way_of_the_interceptor(o):
    del get(o, "Ingress", "order-service-interceptor")["metadata"]["annotations"]


def more_requests_than_a_replica_bears(o):
    get(o, "Middleware", "in-flight")["spec"]["inFlightReq"]["amount"] = 1024


def more_replicas_than_connections(o):
    get(o, "HorizontalPodAutoscaler", "order-service")["spec"]["maxReplicas"] = 5


def more_replicas_than_the_pooler_takes(o):
    get(o, "HTTPScaledObject", "order-service")["spec"]["replicas"]["max"] = 20


def two_autoscalers(o):
    o.append(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "second", "namespace": NAMESPACE},
            "spec": {
                "maxReplicas": 2,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "order-service"},
            },
        }
    )


def probe_of_no_route(o):
    app(o)["checks"]["liveness"]["httpGet"]["path"] = "/healthz"


def probe_that_the_host_answers(o):
    app(o)["checks"]["readiness"]["httpGet"]["path"] = "/.well-known/spin/health"


def metrics_for_the_world(o):
    ingress_path(o)["path"] = "/metrics"


def volume_that_is_not_there(o):
    container(o, "Deployment", "order-service")["volumeMounts"][0]["name"] = "stat"


def middleware_that_is_not_there(o):
    annotations = get(o, "Ingress", "order-service")["metadata"]["annotations"]
    annotations["traefik.ingress.kubernetes.io/router.middlewares"] = "default-retry@kubernetescrd"


def single_replica(o):
    get(o, "HorizontalPodAutoscaler", "order-service")["spec"]["minReplicas"] = 1


def budget_of_others(o):
    get(o, "PodDisruptionBudget", "order-service")["spec"]["maxUnavailable"] = 2


def deadline_longer_than_the_wait_for_it(o):
    settings(o)["request_timeout_ms"] = "15000"


def pod_that_is_killed_while_it_waits(o):
    get(o, "Deployment", "order-service")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 8


def rollout_that_begins_with_an_end(o):
    get(o, "Deployment", "order-service")["spec"]["strategy"] = {}


MISTAKES = [
    *mistakes_of_the_database.MISTAKES,
    (K3S, single_replica, "rollouts_lose_nothing", "single"),
    (K3S, budget_of_others, "rollouts_lose_nothing", "drained"),
    (PLAIN, deadline_longer_than_the_wait_for_it, "rollouts_lose_nothing", "17.0"),
    (PLAIN, pod_that_is_killed_while_it_waits, "rollouts_lose_nothing", "killed"),
    (PLAIN, rollout_that_begins_with_an_end, "rollouts_lose_nothing", "before it has another"),
    (K3S, unknown_field_in_a_spin_app, "schema", "livenessProbe"),
    (K3S, unknown_field_in_a_stateful_set, "schema", "resource"),
    (K3S, unknown_field_in_metadata, "schema", "label"),
    (K3S, field_of_the_wrong_type, "schema", "maxReplicas"),
    (LARGE, unknown_field_in_a_monitor, "schema", "intervall"),
    (K3S, wrong_port_of_the_ingress, "ways_in_lead_to_services", "8003"),
    (K3S, wrong_name_of_the_service, "ways_in_lead_to_services", "orders"),
    (K3S, wrong_target_port_of_a_service, "services_lead_to_pods", "6380"),
    (K3S, selector_typo_in_a_service, "services_lead_to_pods", "order-postgres"),
    (K3S, selector_typo_in_the_budget, "scalers_and_budgets_have_targets", "order-service"),
    (K3S, scaler_of_another_deployment, "scalers_and_budgets_have_targets", "orders"),
    (K3S, missing_key_of_the_config_map, "keys_exist", "product_attempts"),
    (K3S, missing_key_of_a_secret, "keys_exist", "DATABASE_URL"),
    (K3S, missing_secret, "keys_exist", "runtime-config"),
    (K3S, missing_variable, "variables_are_those_of_the_manifest", "order_cache_ttl_s"),
    (PLAIN, missing_variable_of_the_deployment, "variables_are_those_of_the_manifest", "does not set"),
    (K3S, variable_that_the_manifest_lacks, "variables_are_those_of_the_manifest", "cache_ttl"),
    (K3S, password_in_the_config_map, "variables_are_those_of_the_manifest", "Secret"),
    (K3S, host_that_the_url_does_not_name, "hosts_agree_with_urls", "5433"),
    (K3S, policy_that_is_open_to_everybody, "rules_are_narrow", "order-redis"),
    (K3S, policy_that_is_open_on_every_port, "rules_are_narrow", "order-postgres"),
    (K3S, policy_that_is_open_to_the_namespace, "rules_are_narrow", "podSelector"),
    (K3S, policy_that_lets_out_to_the_world, "rules_are_narrow", "range"),
    (K3S, policy_without_denial, "everything_is_denied_first", "no policy"),
    (K3S, policy_without_names, "flows_are_those_expected", "kube-dns"),
    (K3S, policy_of_one_end_only, "both_ends_agree", "order-postgres"),
    (K3S, policy_with_a_typo_in_its_selector, "policies_cover_pods", "order-redis"),
    (K3S, product_service_on_another_port, "addresses_are_reachable", "8080"),
    (K3S, collector_on_another_port, "addresses_are_reachable", "4317"),
    (K3S, root, "nothing_runs_as_root", "redis"),
    (K3S, mutable_tag, "images_are_pinned", "alpine"),
    (K3S, image_without_a_digest, "images_are_pinned", "digest"),
    (K3S, container_without_resources, "resources_are_bounded", "collector"),
    (K3S, token_in_a_pod, "accounts_exist", "token"),
    (K3S, replicas_beside_an_autoscaler, "replicas_have_one_owner", "either"),
    (K3S, replicas_of_nobody, "replicas_have_one_owner", "needs replicas"),
    (K3S, executor_of_another_namespace, "executor_is_in_the_namespace", "executor"),
    (K3S, instance_larger_than_its_pod, "limits_are_in_order", "640Mi"),
    (K3S, requests_without_a_bound, "requests_in_flight_are_bounded", "any number"),
    (LARGE, requests_without_a_bound_by_way_of_the_interceptor, "requests_in_flight_are_bounded", "any"),
    (K3S, more_requests_than_a_replica_bears, "requests_in_flight_are_bounded", "1024"),
    (K3S, more_replicas_than_connections, "connections_suffice", "320"),
    (LARGE, more_replicas_than_the_pooler_takes, "connections_suffice", "20"),
    (LARGE, two_autoscalers, "replicas_have_one_owner", "2 autoscalers"),
    (K3S, probe_of_no_route, "probes_are_routes", "/healthz"),
    (K3S, probe_that_the_host_answers, "probes_are_routes", "well-known"),
    (K3S, metrics_for_the_world, "probes_are_routes", "/metrics"),
    (PLAIN, volume_that_is_not_there, "volumes_exist", "stat"),
    (K3S, middleware_that_is_not_there, "ways_in_lead_to_services", "default-retry"),
]


@pytest.mark.parametrize(
    ("path", "spoil", "finder", "word"), MISTAKES, ids=[m[1].__name__ for m in MISTAKES]
)
def test_a_mistake_is_found(path, spoil, finder, word):
    objects = copy.deepcopy(build(path))
    spoil(objects)
    if finder == "schema":
        found = [line for o in objects for line in schemas.problems(o, schemas.VERSIONS[0])]
    else:
        rule = next(rule for rule in rules.ALL if rule.__name__ == finder)
        found = list(rule(Cluster(objects)))
    assert any(word in line for line in found), found


def test_every_rule_finds_a_mistake():
    """A rule that no mistake of the list offends might as well not be there."""
    tried = {mistake[2] for mistake in MISTAKES}
    untried = {rule.__name__ for rule in rules.ALL} - tried
    assert untried == {
        "names_are_unique_and_namespaced",
        "containers_are_confined",
        "namespaces_enforce_a_standard",
        "runtime_config_is_the_same",
    }
