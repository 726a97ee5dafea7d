"""The cluster, by way of kubectl. What it says when it refuses becomes the reason that is shown."""

import json
import re
import subprocess


class Refused(Exception):
    """Why nothing more is done, in words for who deploys: the reason, and what mends it."""


class Forbidden(Exception):
    """This user may not ask that."""


class Kube:
    def __init__(self, command: list[str], namespace: str):
        self.command = command
        self.namespace = namespace

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*self.command, *words], input=stdin, capture_output=True, text=True, check=False
        )

    def ask(self, *words: str, stdin: str | None = None) -> str:
        """The answer; None of the ways in which there can be none is an answer."""
        done = self.run(*words, stdin=stdin)
        if done.returncode == 0:
            return done.stdout
        raise refusal(done.stderr, f"kubectl {' '.join(words[:4])} …: ")

    def get(self, what: str, *words: str, namespace: str | None = "") -> list[dict]:
        """The objects there are; an unknown name is none."""
        where = ["--namespace", namespace or self.namespace] if namespace is not None else []
        said = self.ask("get", what, *words, *where, "--ignore-not-found", "--output", "json")
        found = json.loads(said) if said.strip() else {"items": []}
        return found["items"] if found.get("kind", "").endswith("List") or "items" in found else [found]

    def one(self, what: str, name: str, namespace: str | None = "") -> dict | None:
        return next(iter(self.get(what, name, namespace=namespace)), None)

    def kinds(self, versions: list[str]) -> dict[str, set[str]]:
        """The kinds that the cluster knows of each `group/version`."""
        groups = json.loads(self.ask("get", "--raw", "/apis"))["groups"]
        served = {v["groupVersion"] for group in groups for v in group["versions"]}
        found = {}
        for version in versions:
            said = self.ask("get", "--raw", f"/apis/{version}") if version in served else '{"resources": []}'
            found[version] = {resource["kind"] for resource in json.loads(said)["resources"]}
        return found

    def apply(self, objects: list[dict]) -> None:
        """Server-side, so that a field of ours replaces what another has put there, whole."""
        if objects:
            done = self.run(*APPLY, "--filename", "-", stdin=stream(objects))
            print(done.stdout, end="", flush=True)
            if done.returncode:
                raise refusal(done.stderr)

    def would_become(self, objects: list[dict]) -> tuple[list[dict], list[str]]:
        """What the objects would be if they were applied now, and what the cluster refuses."""
        if not objects:
            return [], []
        done = self.run(*APPLY, "--dry-run=server", "--output", "json", "--filename", "-",
                        stdin=stream(objects))
        refused = [line for line in done.stderr.splitlines()
                   if line.strip() and not line.startswith("Warning:")]
        return documents(done.stdout), refused if done.returncode else []

    def delete(self, kind: str, name: str, *words: str, namespace: str = "") -> None:
        where = ["--namespace", namespace or self.namespace]
        print(self.ask("delete", kind, name, *where, "--ignore-not-found", "--wait", *words),
              end="", flush=True)


APPLY = ("apply", "--server-side", "--force-conflicts")


def refusal(said: str, before: str = "") -> Exception:
    kind = Forbidden if re.search(r"\(Forbidden\)|is forbidden: User", said) else Refused
    return kind(before + said.strip())


def stream(objects: list[dict]) -> str:
    return "\n---\n".join(map(json.dumps, objects))


def documents(text: str) -> list[dict]:
    """JSON documents one after the other, or a list of them."""
    found, decoder, position = [], json.JSONDecoder(), 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        document, position = decoder.raw_decode(text, position)
        found += document["items"] if document.get("kind") == "List" else [document]
    return found
