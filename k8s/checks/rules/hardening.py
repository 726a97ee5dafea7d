"""What a pod may do on its node."""

import re

OURS = "ghcr.io/example/order-service"
PLACEHOLDER = "@sha256:" + "0" * 64
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# A whole version: two numbers at least, so that it names one release and does not move on.
VERSION = re.compile(r":v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)*$")


def _merged(pod, container) -> dict:
    return pod.spec.get("securityContext", {}) | container.get("securityContext", {})


def nothing_runs_as_root(cluster):
    """All but a SpinApp's pods, for which the operator knows no user: the namespace keeps
    them to `baseline`, and overlays/deployment is there for those who need more."""
    for pod in cluster.pods():
        if pod.by_operator:
            continue
        for container in pod.containers():
            context = _merged(pod, container)
            if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
                yield f"{pod.owner}: {container['name']} may run as root"
            if context.get("runAsGroup") in (None, 0):
                yield f"{pod.owner}: {container['name']} may run in root's group"


def containers_are_confined(cluster):
    for pod in cluster.pods():
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(field):
                yield f"{pod.owner} shares the node's {field[4:].lower()}"
        for volume in pod.spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{pod.owner} mounts {volume['hostPath']['path']} of the node"
        if pod.by_operator:
            continue
        token = pod.spec.get("automountServiceAccountToken") is not False
        if token and not pod.is_of_the_database():
            yield f"{pod.owner} gets a service account's token"
        for container in pod.containers():
            context = _merged(pod, container)
            where = f"{pod.owner}: {container['name']}"
            if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
                yield f"{where} may raise its privileges"
            if context.get("readOnlyRootFilesystem") is not True:
                yield f"{where} may write to its image"
            if context.get("capabilities", {}).get("drop") != ["ALL"]:
                yield f"{where} keeps capabilities"
            if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
                yield f"{where} has no seccomp profile"


def resources_are_bounded(cluster):
    for pod in cluster.pods():
        for container in pod.containers():
            resources = container.get("resources", {})
            if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
                yield f"{pod.owner}: {container['name']} requests no CPU or no memory"
            if "memory" not in resources.get("limits", {}):
                yield f"{pod.owner}: {container['name']} has no limit of memory"
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield f"{pod.owner}: the volume {volume['name']} has no limit"


def images_are_pinned(cluster):
    for pod in cluster.pods():
        for container in pod.containers():
            image = container["image"]
            if image.startswith(OURS) and not DIGEST.search(image):
                yield f"{pod.owner}: {image} has no digest"
            elif not DIGEST.search(image) and not VERSION.search(image):
                yield f"{pod.owner}: {image} can change: neither digest nor whole version"
            if "/" not in image or "." not in image.split("/")[0] and ":" not in image.split("/")[0]:
                yield f"{pod.owner}: {image} does not say from which registry"


def placeholders(cluster):
    """Not a rule of the overlays as written: of what is about to be applied."""
    for pod in cluster.pods():
        for container in pod.containers():
            if container["image"].endswith(PLACEHOLDER):
                yield f"{pod.owner}: the image is still the placeholder"


def namespaces_enforce_a_standard(cluster):
    by_operator = any(pod.by_operator for pod in cluster.pods())
    wanted = "baseline" if by_operator else "restricted"
    for namespace in cluster.of("Namespace"):
        level = namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        if level != wanted:
            yield f"{namespace['metadata']['name']} enforces {level} instead of {wanted}"
