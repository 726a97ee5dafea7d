"""What the documentation names must exist: files, links and their headings, make targets,
settings of the scripts, resources of the cluster, and commands that parse.

Run by scripts/check-docs; uses nothing but the standard library."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md")),
                 ROOT / "k8s/checks/crds/README.md"]
    if page.exists()
]

FENCE = re.compile(r"^[ ]*```(\w*)[^\n]*\n(.*?)^[ ]*```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
MAKE = re.compile(r"\bmake ((?:[a-z][a-z0-9-]*)(?: [a-z][a-z0-9-]*)*)")

# A path as the text writes it: with a slash and a known first folder, or a file of the root.
TOP = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
# Made when something runs, so that a fresh clone lacks them.
MADE = ("target/", ".dev/")
SUFFIX = re.compile(r"\.(md|toml|ya?ml|sql|sh|js|rs|env|py|json|conf|ini|txt)$")


def targets() -> set[str]:
    found = set()
    for makefile in [ROOT / "Makefile", *ROOT.glob("*/Makefile.inc")]:
        if makefile.exists():
            found |= set(re.findall(r"^([a-z][a-z0-9-]*):", makefile.read_text(), re.M))
    return found


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text())
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)}


def is_path(word: str) -> bool:
    if re.search(r"[<>$*{}…:@=\s]|^/|^-|^\.\.?$", word):
        return False
    if "/" in word:
        return word.removeprefix("./").split("/")[0] in TOP | {".github", ".ci"}
    return bool(SUFFIX.search(word)) and word[0] != "."


def path_problem(word: str, page: Path) -> str | None:
    word = word.rstrip("/,.;")
    if word.startswith(MADE):
        return None
    places = [ROOT / word, page.parent / word]
    if "/" not in word:
        # A bare name of a file may stand for one deeper down that the text has just named.
        places += [found for found in tracked() if found.name == word]
    return None if any(place.exists() for place in places) else f"names {word}, which does not exist"


_TRACKED: list[Path] = []


def tracked() -> list[Path]:
    if not _TRACKED:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        _TRACKED.extend(ROOT / line for line in listed.stdout.splitlines())
    return _TRACKED


def link_problem(target: str, page: Path) -> str | None:
    if re.match(r"[a-z]+:", target):
        return None
    file, _, anchor = target.partition("#")
    place = (page.parent / file).resolve() if file else page
    if not place.exists():
        return f"links to {target}, which does not exist"
    if anchor and place.suffix == ".md" and anchor not in anchors(place):
        return f"links to {target}: there is no such heading"
    return None


def make_problems(text: str) -> list[str]:
    known = targets()
    words = {word for match in MAKE.finditer(text) for word in match[1].split()}
    return [f"names make {word}, which is no target" for word in sorted(words - known)]


def names_in_manifests() -> set[str]:
    """Names of objects that the manifests make, for `kubectl … kind/name`."""
    found = set()
    for file in ROOT.glob("k8s/**/*.yaml"):
        if "checks" not in file.parts:
            found |= set(re.findall(r"^\s*-? ?name: ([a-z][a-z0-9-]*)$", file.read_text(), re.M))
    return found


# Objects of other projects that the pages name.
FOREIGN = {"spin-operator", "spin-operator-controller-manager", "cert-manager", "coredns", "traefik",
           "product-service", "metrics-server", "cert-manager-webhook", "default"}
KINDS = (r"(?:deployment|deploy|statefulset|sts|job|cronjob|svc|service|spinapp|secret|configmap|pvc|"
         r"hpa|ingress|networkpolicy|pdb|pod)")


def command_problems(block: str) -> list[str]:
    """Shell blocks: each command parses, and what it names exists."""
    found = []
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    if done.returncode:
        found.append(f"has a block that is not shell: {done.stderr.strip()}")
        return found
    names = names_in_manifests() | FOREIGN
    joined = block.replace("\\\n", " ")
    for line in joined.splitlines():
        line = line.split(" #")[0]
        if "kubectl" not in line:
            continue
        for kind_name in re.findall(rf"(?<![\w-]){KINDS}[/ ]([a-z][a-z0-9-]+)\b(?![.])", line):
            base = re.sub(r"-(\d+|manual|now)$", "", kind_name)
            if base not in names and kind_name not in ("list", "all"):
                found.append(f"names {kind_name} in `{line.strip()}`, which no manifest makes")
    return found


def problems(page: Path) -> list[str]:
    text = page.read_text()
    prose = FENCE.sub("", text)
    found = [link_problem(target, page) for target in LINK.findall(prose)]
    words = {word for code in CODE.findall(prose) for word in code.split()}
    blocks = FENCE.findall(text)
    for language, block in blocks:
        if language in ("sh", "bash", "shell", "console"):
            words |= set(re.split(r"[\s'\"()|;&<>]+", re.sub(r"(?m)#.*$", "", block)))
            found += command_problems(block)
    found += [path_problem(word, page) for word in sorted(words) if is_path(word)]
    shell = "\n".join(block for language, block in blocks if language != "text")
    found += make_problems("\n".join(CODE.findall(prose)) + "\n" + shell)
    for anchor_name in re.findall(r"runbook_url: (\S+)", text):
        found.append(link_problem(anchor_name, page))
    return sorted({line for line in found if line})


def main() -> int:
    bad = 0
    for page in PAGES:
        for line in problems(page):
            print(f"{page.relative_to(ROOT)} {line}", file=sys.stderr)
            bad += 1
    print(f"documentation: {len(PAGES)} pages, {bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
