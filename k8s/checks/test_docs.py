"""The check of the documentation finds what is wrong, each with a page that has it."""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import docs
from manifests import OVERLAYS, cluster, kubectl
from rules.settings import manifest

PAGE = docs.ROOT / "docs/deployment.md"

WRONG = {
    "a file": "See `docs/nowhere.md`.",
    "a folder": "See `k8s/overlays/nowhere`.",
    "a link": "See [this](nowhere.md).",
    "a heading": "See [this](runbook.md#nowhere).",
    "a target": "Run `make nowhere`.",
    "a target in a block": "```sh\nmake nowhere IMAGE=a\n```",
    "a script": "```sh\nscripts/nowhere | kubectl apply -f -\n```",
    "a manifest": "```sh\nkubectl apply -f k8s/base/nowhere.yaml\n```",
    "a resource": "```sh\nkubectl logs deployment/nowhere\n```",
    "no shell": "```sh\nif true; then\n```",
}

RIGHT = [
    "See [the runbook](runbook.md#high-memory-usage) and `k8s/base/spinapp.yaml`.",
    "```sh\nmake deploy IMAGE=name@sha256:… OVERLAY=deployment\n```",
    "```sh\nkubectl -n order-service create job order-postgres-backup-now --from=cronjob/order-postgres-backup\n```",
    "Built to `target/wasm32-wasip2/release/order_service.wasm`; `GET /api/orders` answers.",
]


@pytest.fixture
def page(tmp_path, monkeypatch):
    def make(text):
        found = PAGE.with_name(f".{tmp_path.name}.md")
        monkeypatch.setattr(docs.Path, "read_text", read_text(found, text))
        return found

    return make


def read_text(page, text):
    """The page is not on the disk: only its text is asked for."""
    original = docs.Path.read_text
    return lambda self, *given: text if self == page else original(self, *given)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_does_not_exist_is_found(page, text):
    assert len(docs.problems(page(text))) == 1


@pytest.mark.parametrize("text", RIGHT)
def test_what_exists_is_accepted(page, text):
    assert docs.problems(page(text)) == []


def test_the_pages_are_read():
    assert {"deployment.md", "runbook.md"} <= {page.name for page in docs.PAGES}


def kubectl_commands():
    """The kubectl commands of all pages; the runbook calls it K."""
    found = set()
    for page in docs.PAGES:
        for language, block in docs.FENCE.findall(page.read_text()):
            if language != "sh":
                continue
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r" [|&]{1,2} ", line):
                    part = re.sub(r"^K ", "kubectl -n order-service ", part.strip())
                    if part.startswith("kubectl ") and "://" not in part.split(" -- ")[0]:
                        found.add(part)
    return sorted(found)


def complaint(command, folder):
    """What kubectl says of a command when there is no cluster: nothing of its words."""
    words = shlex.split(command, comments=True)[1:]
    server = ["--server=http://127.0.0.1:1", "--request-timeout=1s", f"--cache-dir={folder}"]
    done = subprocess.run(
        [kubectl(), *server, *words], cwd=docs.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=False, env={"PATH": os.environ["PATH"], "KUBECONFIG": "/dev/null"},
    )
    wrong = re.search(r"(?i)unknown (command|flag|shorthand)|must specify|invalid argument|required|"
                      r"see 'kubectl|error: the path|plugin name", done.stderr)
    return f"{command}: {done.stderr.strip()}" if wrong else None


def test_every_kubectl_command_is_one(tmp_path):
    commands = kubectl_commands()
    assert len(commands) > 20
    with ThreadPoolExecutor(4) as pool:
        complaints = list(pool.map(lambda command: complaint(command, tmp_path), commands))
    assert [line for line in complaints if line] == []


@pytest.mark.parametrize(
    "command", ["kubectl gett pods", "kubectl get pods --namespaced x", "kubectl apply -f k8s/nowhere.yaml"]
)
def test_a_wrong_kubectl_command_is_found(command, tmp_path):
    assert complaint(command, tmp_path)


@pytest.mark.parametrize("component", ["monitoring", "cloudnativepg-monitoring"])
def test_every_alert_has_its_section_of_the_runbook(component):
    rules = (docs.ROOT / "k8s/components" / component / "rules.yaml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    links = re.findall(r"runbook: docs/runbook.md#(\w+)", rules)
    assert len(alerts) >= 5 and [alert.lower() for alert in alerts] == links
    assert set(links) <= docs.anchors(docs.ROOT / "docs/runbook.md")


RUNBOOK = docs.ROOT / "docs/runbook.md"
BLOCKS = [block for page in (PAGE, RUNBOOK) for language, block in docs.FENCE.findall(page.read_text()) if language == "sh"]


def sections(page):
    """The text under each heading, by its anchor."""
    parts = re.split(r"^##+ (.+)\n", page.read_text(), flags=re.M)[1:]
    return {docs.slug(heading): text for heading, text in zip(parts[::2], parts[1::2])}


def test_what_needs_an_administrator_is_said():
    """Commands within the namespace for which k8s/base/access.yaml gives no right."""
    beyond = re.compile(r"kubectl -n order-service .*(exec |top |get backups|(run|delete) pods? )")
    there = list(sections(PAGE).items())
    prepared = [anchor for anchor, _ in there].index("who-may-deploy") + 1
    roles = re.search(r"^Two people.*?\n\n", PAGE.read_text(), re.M | re.S)[0]
    said = set(re.findall(r"\(#([\w-]+)\)", roles)) - {"who-may-deploy"}
    assert said == {anchor for anchor, text in there[prepared:] if beyond.search(text)}


def test_whoever_restores_takes_the_feed_on_before_the_service_starts():
    restores = [block.splitlines() for block in BLOCKS if "pg_restore " in block or "OVERLAY=restore" in block]
    assert len(restores) == 3
    for lines in restores:
        [call] = [i for i, line in enumerate(lines) if "select order_feed_after_restore()" in line]
        assert re.search("pg_restore |UNTIL=migrations", "\n".join(lines[:call]))
        assert all("UNTIL=" in line for line in lines[:call] if line.startswith("make deploy"))


def test_nobody_waits_for_a_claim_that_a_pod_still_holds():
    claims = [line for block in BLOCKS for line in block.splitlines() if re.search("delete .*pvc", line)]
    assert len(claims) >= 3
    assert [line for line in claims if "--wait=false" not in line and not re.search(r"\bpod\b", line)] == []


def test_a_wait_for_the_cache_is_as_long_as_its_entries_live():
    settings = (docs.ROOT / "k8s/base/configmap.env").read_text()
    lives = re.search(r"^order_cache_ttl_s=(\d+)$", settings, re.M)[1]
    assert {wait for block in BLOCKS for wait in re.findall(r"^sleep (\d+)$", block, re.M)} == {lives}


def test_a_changed_password_reaches_whoever_has_read_it():
    """Every workload that goes on running is restarted, and a pooler before what comes through it."""
    text = re.search(r"^## Changing passwords\n(.*?)^## ", PAGE.read_text(), re.M | re.S)[1]
    restarted = set(re.findall(r"(?i)(?:restart )?(deployment|statefulset) `?(order-[a-z]+)", text))
    for path in OVERLAYS:
        for pod in cluster(path).pods():
            kind, name = pod.owner.lower().split()
            read = {e.get("valueFrom", {}).get("secretKeyRef", {}).get("name")
                    for c in pod.containers() for e in c.get("env", [])}
            if kind in ("deployment", "statefulset") and read & {"order-postgres", "order-service", "order-redis"}:
                assert (kind, name) in {(k.lower(), n) for k, n in restarted}, path


def test_the_component_reaches_as_many_addresses_as_is_said():
    [component] = manifest()["component"].values()
    addresses = {re.sub(r"^\w+://", "", host) for host in component["allowed_outbound_hosts"]}
    words = ["three", "four", "five", "six", "seven"]
    said = re.findall(r"(?:reaches|sandbox:) (\w+) addresses", (docs.ROOT / "docs/security.md").read_text())
    assert set(said) == {words[len(addresses) - 3]}


def test_pages_that_scripts_and_manifests_name_are_there():
    named = re.compile(r"(?<![\w$/.-])[\w./-]+\.md\b")
    files = [f for f in docs.tracked() if re.match(r"(scripts|k8s)/(?!checks)|\.env|Makefile", str(f.relative_to(docs.ROOT)))]
    assert len(files) > 50
    lost = {(str(file.relative_to(docs.ROOT)), page) for file in files if file.is_file()
            for page in named.findall(file.read_text()) if not (docs.ROOT / page).exists()}
    assert lost == set()
