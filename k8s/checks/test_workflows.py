"""The workflows name what exists, and run nothing that may change under them."""

import re

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
