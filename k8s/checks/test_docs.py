"""The check of the documentation finds what is wrong, each with a page that has it."""

import pytest

import docs

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
