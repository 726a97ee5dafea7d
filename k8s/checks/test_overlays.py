"""Every overlay builds, is valid in two versions of Kubernetes, and keeps every rule."""

import re
from types import SimpleNamespace

import pytest
import yaml

import docs
import rules
import schemas
from fake.reach import allowed
from fake.resources import violations
from fake.store import matches
from manifests import ALL, NAMESPACE, OVERLAYS, ROOT, Cluster, build, cluster, example_secrets
from rules import hardening
from rules.flows import NAME
from schemas import CRDS


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize("path", ALL)
def test_every_object_is_valid(path, version):
    problems = [line for found in build(path) for line in schemas.problems(found, version)]
    assert problems == []


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", ALL)
def test_every_rule_is_kept(path, rule):
    assert list(rule(cluster(path))) == []


def test_every_overlay_is_checked():
    there = {f"overlays/{file.parent.name}" for file in ROOT.glob("k8s/overlays/*/kustomization.yaml")}
    assert there == set(OVERLAYS)


def test_every_component_is_part_of_an_overlay():
    named = "".join(f.read_text() for f in ROOT.glob("k8s/overlays/*/kustomization.yaml"))
    for component in ROOT.glob("k8s/components/*/kustomization.yaml"):
        assert f"components/{component.parent.name}\n" in named


def test_every_manifest_is_part_of_a_kustomization():
    for folder in {file.parent for file in ROOT.glob("k8s/**/kustomization.yaml")}:
        text = (folder / "kustomization.yaml").read_text()
        for file in folder.iterdir():
            if file.is_file() and file.name not in ("kustomization.yaml", "secret.example.yaml"):
                assert file.name in text, f"{file} is in no kustomization"


def test_every_migration_is_in_the_config_map():
    folder = ROOT / "migrations"
    listed = re.findall(r"^ +- (\S+\.sql)$", (folder / "kustomization.yaml").read_text(), re.M)
    assert listed == sorted(file.name for file in folder.glob("*.sql"))


def test_every_secret_of_the_example_is_made_by_the_script_and_used():
    script = (ROOT / "scripts/secrets").read_text()
    used = "".join(str(build(path)) for path in OVERLAYS)
    for name, keys in example_secrets().items():
        for key, value in keys.items():
            assert f"'name': '{name}'" in used
            # CloudNativePG reads both keys of its kind of Secret without being told.
            read = f"'key': '{key}'" in used or {"username", "password"} == keys.keys()
            assert read, f"nothing reads {key} of {name}"
            assert key in script and name in script
            harmless = value in ("", "CHANGE_ME") or ":CHANGE_ME@" in value or key == "username"
            assert harmless, "an example has no real value"


def test_dbmate_is_the_version_that_developers_use():
    tools = (ROOT / "scripts/lib/tools.sh").read_text()
    version = re.search(r"^DBMATE_VERSION=(\S+)$", tools, re.M)[1]
    assert f"ghcr.io/amacneil/dbmate:{version}\n" in (ROOT / "k8s/base/migrations-job.yaml").read_text()


def test_the_pod_to_look_from_bears_the_strictest_standard_and_gets_no_requests():
    look = yaml.safe_load((ROOT / "k8s/look.yaml").read_text())
    assert schemas.problems(look, schemas.VERSIONS[0]) == []
    pod = {"kind": "Deployment", "metadata": look["metadata"],
           "spec": {"template": {"metadata": look["metadata"], "spec": look["spec"]}}}
    for rule in (hardening.nothing_runs_as_root, hardening.containers_are_confined, hardening.resources_are_bounded):
        assert list(rule(Cluster([pod]))) == []
    assert violations(look, "restricted") == []
    for path in OVERLAYS:
        policy = cluster(path).get("NetworkPolicy", "order-service")["spec"]["podSelector"]["matchLabels"]
        service = cluster(path).get("Service", "order-service")["spec"]["selector"]
        assert matches(policy, look["metadata"]["labels"])
        assert not matches(service, look["metadata"]["labels"])


def job_reaches(found, template, names, port):
    policies = SimpleNamespace(all=lambda resource, namespace: found.of("NetworkPolicy"))
    [server] = [pod for pod in found.pods() if pod.labels[NAME] in names]
    source, target = (NAMESPACE, template["metadata"]["labels"]), (NAMESPACE, server.labels)
    for direction in ("egress", "ingress"):
        assert allowed(policies, source, target, {"number": port}, direction), (server.owner, direction)


def test_the_job_that_erases_a_user_is_valid_confined_and_let_through():
    objects = build("erase")
    for version in schemas.VERSIONS:
        assert [line for found in objects for line in schemas.problems(found, version)] == []
    (job,) = (found for found in objects if found["kind"] == "Job")
    for rule in (hardening.nothing_runs_as_root, hardening.containers_are_confined, hardening.resources_are_bounded):
        assert list(rule(Cluster([job]))) == []
    template = job["spec"]["template"]
    assert violations({"kind": "Pod", **template}, "restricted") == []
    for path in OVERLAYS:
        policy = cluster(path).get("NetworkPolicy", "order-service")["spec"]["podSelector"]["matchLabels"]
        service = cluster(path).get("Service", "order-service")["spec"]["selector"]
        assert matches(policy, template["metadata"]["labels"])
        assert not matches(service, template["metadata"]["labels"])
        job_reaches(cluster(path), template, {"order-postgres", "order-database"}, 5432)
        job_reaches(cluster(path), template, {"order-redis"}, 6379)
    for container in (*template["spec"]["initContainers"], *template["spec"]["containers"]):
        for variable in container["env"]:
            source = variable.get("valueFrom", {}).get("secretKeyRef")
            assert source is None or source["name"] == "order-erase" or source["key"] in example_secrets()[source["name"]]


def test_the_schemas_of_the_operator_are_those_of_the_version_that_is_installed():
    """Its main branch has gone on since 0.6.1: it prints two columns more."""
    crd = yaml.load((CRDS / "core.spinkube.dev_spinapps.yaml").read_text(), yaml.CSafeLoader)
    columns = [c["jsonPath"] for c in crd["spec"]["versions"][0]["additionalPrinterColumns"]]
    assert ".status.deploymentName" not in columns and ".status.serviceName" not in columns


def restored():
    """The overlay of docs/deployment.md that brings the database back to a moment."""
    page = (ROOT / "docs/deployment.md").read_text()
    [text] = [block for language, block in docs.FENCE.findall(page) if "recoveryTarget" in block]
    folder = ROOT / ".dev/check-restore"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text(text.replace("../k8s/", "../../k8s/"))
    return build("../.dev/check-restore")


def test_the_overlay_that_restores_to_a_moment_is_valid():
    objects = restored()
    database = next(o for o in objects if o["kind"] == "Cluster")
    assert schemas.problems(database, schemas.VERSIONS[0]) == []
    spec = database["spec"]
    assert "initdb" not in spec["bootstrap"]
    source = spec["externalClusters"][0]
    assert spec["bootstrap"]["recovery"]["source"] == source["name"]
    written = cluster("overlays/cloudnativepg").get("Cluster", "order-database")["spec"]["plugins"][0]["parameters"]
    assert source["plugin"]["parameters"] == {**written}
    assert spec["plugins"][0]["parameters"]["serverName"] != written["serverName"]
