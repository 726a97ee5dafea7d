"""make deploy and make cluster.

`deploy` rolls an image out: it compares with what runs and refuses with the reason and the mend
before it changes anything; then what the service needs, the migrations to their end, the service
itself, and last the ways in and what is no longer wanted. When the migrations fail, the version that
runs is left alone. `cluster` is the administrator's part: the namespace, the runtime class, and the
rights of those who deploy.

  IMAGE=name@sha256:…      the pinned image that `make image` printed (deploy)
  OVERLAY=k3s-arm64        a folder in k8s/overlays/, or the path of one of yours
  KUBECTL=kubectl          another one, or the same with --context
  TIMEOUT=300s             of each wait
  UNTIL=migrations         end before the service is touched: a new database beside the one that is used
  DRY_RUN=1                only print the objects; DRY_RUN=plan compares with the cluster and prints what
                           would be made, changed and removed
"""

import os
import shlex
import sys

import before
import room
import service
import switch
import waits
from kube import Forbidden, Kube, Refused
from objects import NAMESPACE, SERVICE, folder_of, is_access, name_of, of_kind, rendered, stage, title
from plan import OURS, Plan, known_kinds, live_objects, made, missing_kinds


def step(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def cluster(kube: Kube, overlay: str) -> None:
    """What takes an administrator, once for a cluster and again when an overlay wants it otherwise."""
    _, wanted = rendered(kube, folder_of(overlay), None)
    if os.environ.get("DRY_RUN"):
        print("\n".join(f"    {title(found)}" for found in wanted if is_access(found)))
        return
    step(f"the administrator's part of {overlay}")
    known = known_kinds(kube)
    namespace = of_kind(wanted, "Namespace")[0]
    there = kube.one("namespaces", NAMESPACE, namespace=None)
    loose = there and "SpinApp" in known["core.spinkube.dev/v1alpha1"] and kube.get(OURS["SpinApp"])
    if loose and before.enforced(namespace) == "restricted":
        # Their pods have no security context: stricter, and the next one that ends is not replaced.
        namespace["metadata"]["labels"][before.ENFORCE] = before.enforced(there)
        print(f"    the namespace stays at {before.enforced(there)} while the operator's pods run; "
              f"after make deploy OVERLAY={overlay} run this again", file=sys.stderr, flush=True)
    access = [found for found in wanted if is_access(found)]
    elsewhere = {found["metadata"].get("namespace", NAMESPACE) for found in access} - {NAMESPACE}
    lacking = [name for name in sorted(elsewhere) if kube.one("namespaces", name, namespace=None) is None]
    problems = [f"the namespace {name} is missing: install what belongs there first" for name in lacking]
    refuse(missing_kinds(wanted, known) + problems)
    kube.apply(access)
    step("done")


def refuse(problems: list[str]) -> None:
    if problems:
        raise Refused("nothing was changed:\n" + "\n".join(f"  - {line}" for line in dict.fromkeys(problems)))


def compared(kube: Kube, overlay: str, wanted: list[dict]) -> Plan:
    """What there is to do, or the reasons why it is not begun."""
    known = known_kinds(kube)
    refuse(missing_kinds(wanted, known) + before.namespaces(kube, wanted, overlay))
    plan = made(kube, wanted, live_objects(kube, known))
    print("\n".join(plan.lines()), file=sys.stderr, flush=True)
    refuse(before.secrets(kube, wanted) + before.refusals(plan) + room.room(kube, wanted, plan))
    return plan


def deploy(kube: Kube, overlay: str, image: str) -> None:
    timeout_s = waits.seconds(os.environ.get("TIMEOUT", "300s"))
    folder = folder_of(overlay)
    text, wanted = rendered(kube, folder, image)
    dry = os.environ.get("DRY_RUN")
    if dry and dry != "plan":
        print(text, end="")
        return
    step(f"compared with what runs ({folder.name})")
    plan = compared(kube, overlay, wanted)
    if dry:
        return
    steps = {name: [found for found in wanted if stage(found) == name]
             for name in ("needs", "migrations", "service", "ways in")}
    replicas = max(switch.replicas(kube, plan), fewest(wanted))

    step("what the service needs")
    switch.keep_policies(kube, plan)
    kube.apply(steps["needs"])
    needs(kube, wanted, timeout_s)

    step("migrations")
    # A Job cannot be changed, so the last one goes first.
    kube.delete("jobs.batch", "order-migrations")
    kube.apply(steps["migrations"])
    waits.job(kube, "order-migrations", timeout_s)
    if os.environ.get("UNTIL") == "migrations":
        step("migrated; the service was not touched")
        return

    step(f"the service: {image}")
    if of_kind(plan.remove, "HTTPScaledObject"):
        # Without it the interceptor knows no way to the service.
        ways_in(kube, plan, steps["ways in"])
    # The other autoscaler first: two would fight.
    remove(kube, plan, lambda found: found["kind"] in ("HorizontalPodAutoscaler", "HTTPScaledObject"))
    switch.detach(kube, plan)
    kube.apply(steps["service"])
    appears(kube, timeout_s)
    switch.at_least(kube, replicas)
    pinned = of_kind(wanted, "SpinApp") or of_kind(steps["service"], "Deployment")
    service.wait(kube, wanted, pinned_image(pinned[0]), timeout_s)
    service.answers(kube, timeout_s)

    step("the ways in, and what is no longer wanted")
    ways_in(kube, plan, steps["ways in"])
    remove(kube, plan, lambda found: True)
    switch.let_go(kube, timeout_s)
    tighten(kube, wanted, overlay)
    step("done")


def pinned_image(found: dict) -> str:
    return found["spec"]["image"] if found["kind"] == "SpinApp" else service.container(found)["image"]


def fewest(wanted: list[dict]) -> int:
    """How few replicas the autoscaler leaves; one that goes down to none begins with one, to be seen."""
    scalers = [s["spec"].get("minReplicas", 1) for s in of_kind(wanted, "HorizontalPodAutoscaler")]
    return max([*scalers, 1])


def appears(kube: Kube, timeout_s: int) -> None:
    """The operator makes the Deployment in its own time."""
    def probe():
        there = kube.one("deployments.apps", SERVICE) is not None
        return there, "there" if there else "not there yet"

    waits.until("the Deployment", timeout_s, probe, lambda: [f"is the operator running? {service.OPERATOR_LOG}"])


def needs(kube: Kube, wanted: list[dict], timeout_s: int) -> None:
    for found in wanted:
        if found["kind"] == "StatefulSet":
            waits.stateful_set(kube, name_of(found), timeout_s)
        elif found["kind"] == "Cluster":
            waits.database(kube, name_of(found), timeout_s)
        elif found["kind"] == "Deployment" and stage(found) == "needs":
            waits.deployment(kube, name_of(found), timeout_s)


def ways_in(kube: Kube, plan: Plan, wanted: list[dict]) -> None:
    """The new before the old goes; the policies let both in until the end."""
    kube.apply(wanted)
    remove(kube, plan, lambda found: found["kind"] == "Ingress")


def remove(kube: Kube, plan: Plan, which) -> None:
    for found in [o for o in plan.remove if which(o)]:
        kube.delete(OURS[found["kind"]], name_of(found), namespace=found["metadata"]["namespace"])
        plan.remove.remove(found)


def tighten(kube: Kube, wanted: list[dict], overlay: str) -> None:
    level = before.enforced(kube.one("namespaces", NAMESPACE, namespace=None))
    needed = before.enforced(of_kind(wanted, "Namespace")[0])
    if level != needed:
        print(f"    the namespace enforces {level}, and this overlay bears {needed}: "
              f"an administrator may run make cluster OVERLAY={overlay}", file=sys.stderr, flush=True)


def main() -> int:
    what = sys.argv[1] if len(sys.argv) == 2 else ""
    kube = Kube(shlex.split(os.environ.get("KUBECTL") or "kubectl"), NAMESPACE)
    overlay = os.environ.get("OVERLAY") or "k3s-arm64"
    try:
        if what == "cluster":
            cluster(kube, overlay)
        elif what == "deploy":
            deploy(kube, overlay, os.environ.get("IMAGE", ""))
        else:
            raise Refused("say deploy or cluster")
    except Refused as reason:
        print(f"make {what}: {reason}", file=sys.stderr)
        return 1
    except Forbidden as reason:
        print(f"make {what}: you may not: {reason}\n(docs/deployment.md, 'Who may deploy')", file=sys.stderr)
        return 1
    except FileNotFoundError as reason:
        print(f"make {what}: {reason.filename} is missing (kubectl?)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
