"""make deploy and make cluster against a cluster that is only told (fake/): each of the ways in which
a deployment was seen to fail on a real one, and what must hold in each. Everything but `make cluster`
is asked as a deployer, under the rights of k8s/base/access.yaml."""

import pytest

from fake import site as sites
from fake.site import OTHER
from fake.world import NAMESPACE

@pytest.fixture(scope="module")
def running(tmp_path_factory):
    site = sites.running(tmp_path_factory.mktemp("site"))
    yield site
    site.world.close()


@pytest.fixture
def site(running):
    return running.back()


def test_a_first_deployment_goes_from_what_is_needed_to_the_ways_in(running):
    said = running.first.stderr
    steps = ["==> compared with what runs", "make SpinApp order-service", "==> what the service needs",
             "StatefulSet order-postgres: 1 of 1 ready", "==> migrations", "Job order-migrations: complete",
             "==> the service", "2 of 2 new, 2 ready, 2 in all", "2 pods answer", "==> the ways in", "==> done"]
    assert [said.index(words) for words in steps] == sorted(said.index(words) for words in steps)


def test_from_the_operator_to_the_plain_deployment_two_replicas_serve_all_the_time(site):
    done = site.done("deployment")
    assert "remove SpinApp order-service" in done.stderr
    assert site.world.least_serving(site.since) >= 2
    assert site.owners() == {"nobody"} and len(site.pods()) == 2
    assert not site.names("spinapps") and not site.names("spinappexecutors")
    assert not any(name.endswith("-before") for name in site.names("networkpolicies"))
    # The namespace becomes stricter only now, and by somebody who may do that.
    assert "make cluster OVERLAY=deployment" in done.stderr
    assert site.cluster("deployment").returncode == 0
    labels = site.world.store.get("namespaces", "", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_back_to_the_operator_the_namespace_comes_first_and_then_both_serve(site):
    site.done("deployment")
    site.cluster("deployment")
    said = site.refused("k3s-arm64")
    assert "enforces restricted" in said and "make cluster OVERLAY=k3s-arm64" in said
    assert site.cluster("k3s-arm64").returncode == 0
    site.done("k3s-arm64")
    assert site.world.least_serving(site.since) >= 2
    assert site.owners() == {"SpinApp"} and site.world.operator_log == []


def test_the_namespace_stays_as_it_is_while_the_operators_pods_run(site):
    done = site.cluster("deployment")
    assert done.returncode == 0
    assert "stays at baseline" in done.stderr
    labels = site.world.store.get("namespaces", "", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"


def test_an_operator_that_does_not_act_is_noticed_even_with_the_same_image(site):
    site.world.operator_runs = False
    store = site.world.store
    deployment = store.get("deployments", NAMESPACE, "order-service")
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    sources = (entry.get("valueFrom", {}) for entry in env)
    next(source["configMapKeyRef"] for source in sources if "configMapKeyRef" in source)["name"] = "old"
    done = site.deploy(TIMEOUT="3s")
    assert done.returncode == 1 and "==> done" not in done.stderr
    assert "is the operator running" in done.stderr
    assert "still has SPIN_VARIABLE_" in done.stderr


def test_the_other_autoscaler_and_the_old_way_in_go_when_keda_takes_over(site):
    site.world.install("keda", "http-add-on", "prometheus")
    assert site.cluster("autoscale").returncode == 0
    said = site.refused("autoscale")
    assert "make secrets DATABASE_HOST=order-pgbouncer:5432" in said
    site.secrets(DATABASE_HOST="order-pgbouncer:5432")
    done = site.done("autoscale")
    assert "remove HorizontalPodAutoscaler order-service" in done.stderr
    assert "remove Ingress order-service" in done.stderr
    assert done.stderr.index("remove Ingress") < done.stderr.index("==> what the service needs")
    assert not site.names("horizontalpodautoscalers") and not site.names("ingresses")
    assert site.names("ingresses", "keda") == {"order-service-interceptor"}
    assert site.world.alarms == set()
    # The pods before kept their way to Postgres, and Traefik its way to them, until they were gone.
    assert site.world.least_serving(site.since) >= 2

    site.secrets(DATABASE_HOST="order-postgres:5432")
    site.done("k3s-arm64")
    assert site.world.least_serving(site.since) >= 2
    assert not site.names("ingresses", "keda") and not site.names("httpscaledobjects")
    assert not site.names("deployments") & {"order-pgbouncer"}


def test_what_an_overlay_needs_and_the_cluster_lacks_is_said_before_anything_changes(site):
    said = site.refused("autoscale")
    assert "does not know HTTPScaledObject" in said and "docs/deployment.md#scaling-from-zero" in said
    assert "does not know ServiceMonitor" in said or "PrometheusRule" in said
    assert "the namespace keda is missing" in said
    said = site.refused("cloudnativepg")
    assert "does not know Cluster" in said or "ScheduledBackup" in said
    assert "the Barman Cloud plugin" in said


def test_data_is_left_where_it_is_and_named(site):
    site.world.install("prometheus", "cnpg", "plugin-barman-cloud")
    site.secrets(POSTGRES="cloudnativepg", ARCHIVE_KEY_ID="id", ARCHIVE_KEY="key")
    done = site.done("cloudnativepg")
    assert "leave StatefulSet order-postgres" in done.stderr
    assert "leave CronJob order-postgres-backup" in done.stderr
    assert "Cluster order-database: 3 of 3 instances ready" in done.stderr
    assert {"order-postgres", "order-redis"} <= site.names("statefulsets")
    assert site.world.least_serving(site.since) >= 2


def test_migrations_that_cannot_begin_end_with_the_limit_and_the_reason(site):
    def no_board_fits():
        for board in site.world.store.all("nodes"):
            board["metadata"]["labels"]["kubernetes.io/arch"] = "riscv64"

    site.world.on["jobs", "order-migrations"] = no_board_fits
    done = site.deploy(TIMEOUT="3s", image=OTHER)
    assert done.returncode == 1
    assert "Job order-migrations: not within 3 s, not begun" in done.stderr
    assert "FailedScheduling: 0/3 nodes are available" in done.stderr
    assert ("spinapps", NAMESPACE, "order-service") not in site.world.changed


def test_a_pod_that_does_not_come_up_is_the_reason_that_is_given(site):
    image = "docker.io/library/redis:7.4.5-alpine"
    site.world.sick.add(image)
    done = site.deploy(TIMEOUT="3s")
    assert done.returncode == 1
    assert "StatefulSet order-redis: not within 3 s, 0 of 1 ready" in done.stderr
    assert f'redis ImagePullBackOff Back-off pulling image "{image}"' in done.stderr


def test_the_service_is_left_alone_when_the_migrations_fail(site):
    site.world.migration = "Failed"
    done = site.deploy(image=OTHER)
    assert done.returncode == 1
    assert "the migrations failed; the service was not touched" in done.stderr
    assert ("spinapps", NAMESPACE, "order-service") not in site.world.changed
    site.world.migration = "Complete"
    site.done(image=OTHER)
    assert site.world.least_serving(site.since) >= 2


def test_a_new_version_that_is_not_fit_leaves_the_old_one_serving(site):
    site.world.sick.add(OTHER)
    done = site.deploy(image=OTHER, TIMEOUT="4s")
    assert done.returncode == 1
    assert "back to the version before: make deploy IMAGE=" in done.stderr
    assert site.world.least_serving(site.since) >= 2
    # And the next deployment, of the version before, is whole again.
    site.done()


def test_an_image_of_another_version_than_the_manifests_is_said(site):
    kept, site.world.version = site.world.version, "0.9.0"
    try:
        done = site.deploy(image=OTHER)
    finally:
        site.world.version = kept
    assert done.returncode == 1 and "git switch --detach v0.9.0" in done.stderr


def test_an_immutable_field_is_said_before_anything_changes(site):
    claim = site.world.store.get("statefulsets", NAMESPACE, "order-postgres")["spec"]["volumeClaimTemplates"][0]
    claim["spec"]["resources"]["requests"]["storage"] = "5Gi"
    said = site.refused()
    assert "updates to statefulset spec" in said
    assert "kubectl -n order-service delete statefulset order-postgres --cascade=orphan" in said


def test_full_boards_are_said_before_anything_changes(site):
    for board in site.world.store.all("nodes"):
        board["status"]["allocatable"]["memory"] = "500Mi"
    said = site.refused(image=OTHER)
    assert "no board has room for SpinApp order-service, which asks for 100m CPU and 512 Mi" in said
    assert "alpha has" in said


def test_a_missing_secret_is_said_before_anything_changes(site):
    site.world.store.remove("secrets", NAMESPACE, "order-migrations")
    del site.world.store.get("secrets", NAMESPACE, "order-redis")["data"]["redis_password"]
    said = site.refused()
    assert "the Secret order-migrations is missing" in said
    assert "the Secret order-redis has no redis_password" in said


def test_a_plan_changes_nothing_and_shows_what_would_be(site):
    done = site.deploy("deployment", DRY_RUN="plan")
    assert done.returncode == 0, done.stderr
    assert "remove SpinApp order-service" in done.stderr and "of another kind" in done.stderr
    assert site.world.changed == []


def test_a_deployment_that_was_interrupted_is_taken_up_by_the_next(site):
    """Ended in the middle of a switch: the old pods are left alone, the new ones not yet there."""
    site.world.sick.add(OTHER)
    assert site.deploy("deployment", OTHER, TIMEOUT="3s").returncode == 1
    since = site.since
    assert any(name.startswith("order-service-") for name in site.names("replicasets"))
    site.world.sick.clear()
    site.done("deployment", OTHER)
    assert site.world.least_serving(since) >= 2
    assert site.owners() == {"nobody"} and len(site.pods()) == 2


def test_a_deployer_may_not_do_the_administrators_part(site):
    done = site.cluster(user="deployer")
    assert done.returncode == 1 and "you may not" in done.stderr
    assert "Who may deploy" in done.stderr


def test_a_deployer_uses_every_right_that_the_role_gives(site):
    """And needs no other: all the deployments here were a deployer's."""
    asked = {(group, resource.split("/")[0]) for user, _, group, resource, _ in site.world.asked if user == "deployer"}
    rules = site.world.store.get("roles", NAMESPACE, "order-deployer")["rules"]
    given = {(group, r.split("/")[0]) for rule in rules for group in rule["apiGroups"] for r in rule["resources"]}
    assert given - asked <= {("", "pods")}, "rights that nothing here has used"
