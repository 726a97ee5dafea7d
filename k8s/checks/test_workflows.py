"""The workflows name what exists, and run nothing that may change under them."""

import re
import shlex
import subprocess

import pytest
import yaml

import docs
from manifests import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.stem)
def text(request):
    return request.param.read_text()


def test_every_action_is_pinned_to_a_commit(text):
    used = re.findall(r"uses: (\S+)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action


def test_every_job_has_a_limit_and_asks_for_no_more_rights_than_it_names(text):
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90


def test_every_command_of_ours_exists(text):
    for target in re.findall(r"\bmake (?:--\w+ )*([a-z][a-z-]*)", text):
        assert target in docs.targets()
    for script in re.findall(r"(?:scripts|\.ci)/[\w-]+", text):
        assert (ROOT / script).exists()


def test_a_release_is_tested_before_it_is_published_and_then_signed():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert jobs["publish"]["needs"] == "test"
    done = "\n".join(step.get("run", "") + step.get("uses", "") for step in jobs["publish"]["steps"])
    order = ["make --silent image", "cargo cyclonedx", "cosign sign", "cosign attest",
             "attest-build-provenance", "gh release create"]
    positions = [done.index(words) for words in order]
    assert positions == sorted(positions)


def jobs_that_test():
    """The jobs that run all checks and tests."""
    for file in WORKFLOWS:
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            if any(".ci/run" in step.get("run", "") for step in job["steps"]):
                yield job["steps"]


def test_the_release_before_is_there_where_both_are_tested():
    checkouts = [next(s for s in steps if "actions/checkout" in s.get("uses", "")) for steps in jobs_that_test()]
    assert [checkout["with"].get("fetch-depth") for checkout in checkouts] == [0, 0]


def test_a_tag_is_compared_with_the_release_before_it(tmp_path):
    [command] = re.findall(r"^release=\$\((git describe .*) 2>", (ROOT / "scripts/check-compatibility").read_text(), re.M)

    def git(*words):
        return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path,
                              capture_output=True, text=True, check=False)

    git("init", "--quiet")
    found = []
    for tag in ("v1.0.0", "v1.1.0"):
        git("commit", "--quiet", "--allow-empty", "--message", tag)
        git("tag", tag)
        found.append(git(*shlex.split(command)[1:]).stdout.strip())
    assert found == ["", "v1.0.0"]


# Of what the checks ask for, what GitHub's runners have.
ON_THE_IMAGE = {"curl", "gcc", "jq", "libc6-dev", "nodejs", "npm", "openssl", "python3"}


def test_what_a_runner_lacks_is_installed():
    """The checks install it as root only, and end without it."""
    files = [*ROOT.glob("scripts/check-*"), *ROOT.glob("scripts/lib/*.sh")]
    asked = re.findall(r"apt_install ([a-z0-9 -]+?) \|\| die", "".join(file.read_text() for file in files))
    wanted = {package for packages in asked for package in packages.split()} - ON_THE_IMAGE
    assert "prometheus" in wanted
    for steps in jobs_that_test():
        [line] = [step["run"] for step in steps if "apt-get install" in step.get("run", "")]
        assert wanted <= set(line.split())


def test_whatever_is_pinned_is_kept_up():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    kept = {(u["package-ecosystem"], folder) for u in updates for folder in u.get("directories", [u.get("directory")])}
    kinds = {"Cargo.lock": "cargo", "requirements.txt": "pip", "package-lock.json": "npm", "compose.yaml": "docker-compose"}
    pinned = {(kinds[file.name], f"/{file.parent.relative_to(ROOT)}".rstrip(".")) for file in docs.tracked()
              if file.name in kinds}
    assert {("cargo", "/"), ("npm", "/tests/clients")} <= pinned <= kept
