"""The objects of an overlay with the image pinned, and what is to be known of each."""

import os
import re
import tempfile
from pathlib import Path

from kube import Kube, Refused, documents

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "order-service"
SERVICE = "order-service"
PLACEHOLDER = "ghcr.io/example/order-service"
PART = "app.kubernetes.io/part-of"
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
# On everything that was applied: from which overlay.
OVERLAY = "order-service/overlay"

# What an administrator applies, by `make cluster`.
ACCESS = ("Namespace", "RuntimeClass")


def image_of(text: str) -> tuple[str, str]:
    """Name and digest of a pinned image."""
    match = re.fullmatch(r"([^@]+)@(sha256:[0-9a-f]{64})", text)
    if not text:
        raise Refused("say what to deploy: make deploy IMAGE=name@sha256:… (make image prints it)")
    if not match:
        raise Refused(f"IMAGE must be pinned: name@sha256:… ({text} is not)")
    name, digest = match.groups()
    if set(digest.removeprefix("sha256:")) == {"0"}:
        raise Refused("IMAGE is the placeholder of the overlays, not an image")
    # A name with a tag before the digest: the digest decides.
    head, colon, tag = name.rpartition(":")
    return (head if colon and "/" not in tag else name), digest


def folder_of(overlay: str) -> Path:
    for folder in (ROOT / "k8s/overlays" / overlay, Path(overlay)):
        if (folder / "kustomization.yaml").is_file():
            return folder.resolve()
    raise Refused(f"no such overlay: {overlay}")


def rendered(kube: Kube, folder: Path, image: str | None) -> tuple[str, list[dict]]:
    """The objects as text and read. The image is pinned in an overlay over the overlay, which
    is not committed; to keep a record, put the same lines into an overlay of your own."""
    work = ROOT / ".dev/deploy"
    work.mkdir(parents=True, exist_ok=True)
    # A folder for each run: a deployment beside this one has another image.
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=work) as pinned:
        lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "resources:",
                 f"  - {os.path.relpath(folder, pinned)}"]
        if image:
            name, digest = image_of(image)
            lines += ["images:", f"  - name: {PLACEHOLDER}", f"    newName: {name}", f"    digest: {digest}"]
        Path(pinned, "kustomization.yaml").write_text("\n".join(lines) + "\n")
        text = kube.ask("kustomize", pinned)
    if image:
        if f"image: {name}@{digest}" not in text:
            raise Refused(f"{folder} does not use the image {PLACEHOLDER}")
        if "@sha256:" + "0" * 64 in text:
            raise Refused(f"a placeholder is left in what {folder} makes")
    # kubectl reads the YAML for us, and notes where an object comes from.
    note = f"{OVERLAY}={folder.name}"
    said = kube.ask("annotate", "--local", "--output", "json", "--filename", "-", note, stdin=text)
    return text, documents(said)


def group(found: dict) -> str:
    version = found["apiVersion"]
    return version.rpartition("/")[0]


def key(found: dict) -> tuple[str, str, str, str]:
    meta = found["metadata"]
    return group(found), found["kind"], meta.get("namespace", ""), meta["name"]


def title(found: dict) -> str:
    meta = found["metadata"]
    where = meta.get("namespace", NAMESPACE)
    return f"{found['kind']} {meta['name']}" + ("" if where == NAMESPACE else f" in {where}")


def labels(found: dict) -> dict:
    return found["metadata"].get("labels", {})


def is_access(found: dict) -> bool:
    return found["kind"] in ACCESS or labels(found).get(COMPONENT) == "access"


def stage(found: dict) -> str:
    """When it is applied: what the service needs, the migrations, the service, the ways in."""
    if is_access(found):
        return "access"
    if found["kind"] == "Ingress":
        return "ways in"
    if labels(found).get(COMPONENT) == "migrations":
        return "migrations"
    # The Service of the plain Deployment goes with it: it must not leave the old pods before.
    if labels(found).get(COMPONENT) == "api" or found["kind"] == "Service" and name_of(found) == SERVICE:
        return "service"
    return "needs"


def name_of(found: dict) -> str:
    return found["metadata"]["name"]


def of_kind(objects: list[dict], kind: str) -> list[dict]:
    return [found for found in objects if found["kind"] == kind]


def template_of(found: dict) -> dict | None:
    spec = found.get("spec", {})
    if found["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template") if found["kind"] in WORKLOADS else None


WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")


def owner(found: dict) -> dict:
    """Who has made it, if it was not applied."""
    owners = found["metadata"].get("ownerReferences", [])
    return next((o for o in owners if o.get("controller")), owners[0] if owners else {})
