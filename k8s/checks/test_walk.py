"""docs/deployment.md, walked from its first line: its commands are run, in their order, against a
cluster that is only told (fake/). What happens on boards and at registries is left out."""

import re
import subprocess
from pathlib import Path

import pytest

import docs
from fake.site import Site
from fake.world import NAMESPACE

PAGE = (docs.ROOT / "docs/deployment.md").read_text()
DIGEST = "ab" * 32
# The shell in which the blocks run. The words that follow are commands elsewhere, or of others.
SHELL = r"""
set -euo pipefail
PATH=$STUBS:$PATH
for word in sudo curl scp sed git cosign psql helm sleep; do eval "$word() { :; }"; done
helm() { [[ $1 != install ]] || install "$2"; }
kubectl() {
    local arguments=" $* "
    case $arguments in
    *" port-forward "* | *" exec "* | *" logs "* | *" top "* | *" drain "*) return ;;
    *"/cert-manager/"*) install cert-manager ;;
    *"/cloudnative-pg/cloudnative-pg/"*) install cnpg ;;
    *"/plugin-barman-cloud/"*) install plugin-barman-cloud ;;
    *"k8s/checks/crds/"*) return ;;
    # As JSON: the played cluster reads no protobuf.
    *" create job "*) "$ADMIN" "$@" --dry-run=client --output json | "$ADMIN" create --filename - ;;
    *) "$ADMIN" "$@" ;;
    esac
}
make() {
    case $1 in
    cluster) KUBECTL=$ADMIN command make --silent "$@" ;;
    image) ;;
    *) KUBECTL=$DEPLOYER command make --silent "$@" ;;
    esac
}
export KUBECTL=$DEPLOYER
"""


# What the repository has at its top, whatever else lies there.
TOP = {docs.ROOT / file.relative_to(docs.ROOT).parts[0] for file in docs.tracked()}


def beside():
    """What else lies there, and of when it is."""
    return {entry.name: entry.stat().st_mtime_ns for entry in docs.ROOT.iterdir() if entry.is_file() and entry not in TOP}


def section(title):
    """The commands of a section, without its subsections."""
    match = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", PAGE, re.M | re.S)
    assert match, f"no section {title!r}"
    return [block for language, block in docs.FENCE.findall(match[1]) if language == "sh"]


def titles():
    return re.findall(r"^##+ (.+)$", docs.FENCE.sub("", PAGE), re.M)


class Walk:
    def __init__(self, site: Site):
        self.site = site
        # What the page writes goes beside links to the checkout, and not into it.
        self.folder = Path(site.environment["HOME"]) / "checkout"
        (self.folder / "restore").mkdir(parents=True)
        # The overlay that the page asks to be written.
        [overlay] = [block for language, block in docs.FENCE.findall(PAGE) if "recoveryTarget" in block]
        (self.folder / "restore/kustomization.yaml").write_text(overlay)
        for entry in docs.ROOT.iterdir():
            if entry in TOP:
                (self.folder / entry.name).symlink_to(entry)

    def through(self, *sections):
        for title in sections:
            for block in section(title):
                self.run(title, block)

    def run(self, title, block):
        block = block.replace("sha256:…", f"sha256:{DIGEST}").replace("…", "something")
        installs = self.site.environment["HOME"] + "/installs"
        shell = f'install() {{ echo "$1" >> {installs}; }}\n' + SHELL
        for line in self.commands(block):
            done = subprocess.run(
                ["bash", "-c", shell + line], cwd=self.folder, capture_output=True, text=True, timeout=900, check=False,
                env={**self.site.environment, "STUBS": "/nonexistent", "ADMIN": self.site.users["admin"],
                     "DEPLOYER": self.site.users["deployer"], "now": "1767225600"})
            assert done.returncode == 0, f"{title}: {line}\n{done.stdout}{done.stderr}"
            self.install(installs)

    def commands(self, block):
        """Lines one by one, so that what one has installed is there for the next."""
        return [line for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("now=")]

    def install(self, noted):
        try:
            with open(noted) as file:
                self.site.world.install(*file.read().split())
        except FileNotFoundError:
            return
        open(noted, "w").close()


FROM_THE_BOARDS = ["Boards", "K3s", "The shim", "The operator", "Who may deploy", "Secrets", "Image", "Deploy",
                   "Look at it"]


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Three boards, and the page from its beginning to the running service."""
    site = Site(tmp_path_factory.mktemp("walk"))
    for name in ("alpha", "beta", "gamma"):
        site.world.board(name, spin=False)
    site.world.install("k3s")
    walk = Walk(site)
    walk.through(*FROM_THE_BOARDS)
    site.keep()
    yield walk
    site.world.close()


@pytest.fixture
def walk(walked):
    walked.site.back()
    return walked


def test_from_the_boards_to_the_running_service(walked):
    assert walked.site.owners() == {"SpinApp"} and len(walked.site.pods()) == 2


OTHERWISE = [
    ["A plain Deployment"],
    ["Monitoring", "Scaling from zero"],
    ["Monitoring", "Postgres on three boards", "To a moment, from the archive"],
    ["Upgrade", "Rollback", "Backup and restore", "Changing passwords"],
]


@pytest.mark.parametrize("sections", OTHERWISE, ids=lambda sections: sections[-1])
def test_what_comes_after(walk, sections):
    before = beside()
    walk.through(*sections)
    assert beside() == before, "the page has written into the checkout"
    assert len(walk.site.pods()) >= 1
    assert walk.site.world.alarms == set()


def test_every_section_with_commands_is_walked_in_the_order_of_the_page():
    walked = [title for sections in [FROM_THE_BOARDS, *OTHERWISE] for title in sections]
    ordered = titles()
    for sections in [FROM_THE_BOARDS, *OTHERWISE]:
        places = [ordered.index(title) for title in sections if title not in ("To a moment, from the archive",)]
        assert places == sorted(places)
    # What is left: another database server, and a load.
    assert {t for t in ordered if section(t)} - set(walked) <= {"Postgres and Redis elsewhere", "Sizing"}


def test_a_backup_may_be_made_again_under_the_documented_name(walk):
    first = section("Backup and restore")[0]
    walk.run("Backup and restore", first)
    names = walk.site.names("jobs")
    assert any(name.startswith("order-postgres-backup-") for name in names)
    assert "$now" in first and "now=$(date +%s)" in first


def test_nothing_says_what_the_operator_would_undo():
    """`rollout undo` stands in the pages once, where they say not to use it."""
    pages = PAGE + (docs.ROOT / "docs/runbook.md").read_text()
    assert pages.count("rollout undo") == 1 and "Do not use `kubectl rollout undo`" in pages


def test_the_walk_would_notice_what_is_missing(walked):
    """A page that deploys before it makes the Secrets does not get through."""
    walked.site.back()
    for name in ("order-service", "order-migrations"):
        walked.site.world.store.remove("secrets", NAMESPACE, name)
    with pytest.raises(AssertionError, match="is missing"):
        walked.through("Deploy")
