"""A cluster, and people who work on it with the scripts."""

import copy
import os
import subprocess

from fake.resources import default
from fake.world import NAMESPACE, World
from manifests import ROOT

IMAGE = f"localhost:5000/orders@sha256:{'ab' * 32}"
OTHER = f"localhost:5000/orders@sha256:{'cd' * 32}"


class Site:
    """A cluster with people who work on it."""

    def __init__(self, folder):
        self.world = World(folder)
        # kubectl is started hundreds of times, and never lives long enough to need its memory back.
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "POLL_S": "0.02", "GOGC": "off"}
        self.users = {user: self.world.kubectl(user) for user in ("admin", "deployer")}

    def run(self, script, user="deployer", **env):
        return subprocess.run(
            [str(ROOT / "scripts" / script)], capture_output=True, text=True, timeout=900, check=False,
            env={**self.environment, "KUBECTL": self.users[user], "TIMEOUT": "600s", **env},
        )

    def deploy(self, overlay="k3s-arm64", image=IMAGE, **env):
        self.world.changed.clear()
        self.since = self.world.ticks
        return self.run("deploy", IMAGE=image, OVERLAY=overlay, **env)

    def done(self, *given, **env):
        done = self.deploy(*given, **env)
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("==> done\n")
        return done

    def refused(self, *given, **env):
        """It ends with a reason, and has changed nothing."""
        done = self.deploy(*given, **env)
        assert done.returncode == 1, done.stderr
        assert "nothing was changed" in done.stderr
        assert self.world.changed == []
        return done.stderr

    def cluster(self, overlay="k3s-arm64", user="admin"):
        return self.run("cluster", user, OVERLAY=overlay)

    def secrets(self, **env):
        made = self.run("secrets", **env)
        assert made.returncode == 0, made.stderr
        self.world.applied(made.stdout)
        for found in self.world.store.all("secrets"):
            default("secrets", found)

    def names(self, resource, namespace=NAMESPACE):
        return {found["metadata"]["name"] for found in self.world.store.all(resource, namespace)}

    def pods(self):
        return [p for p in self.world.store.all("pods", NAMESPACE)
                if p["metadata"]["labels"].get("app.kubernetes.io/component") == "api"]

    def owners(self):
        """Of the service's pods: the Deployments, and who has made those."""
        sets = {s["metadata"]["uid"]: s for s in self.world.store.all("replicasets", NAMESPACE)}
        deployments = {d["metadata"]["uid"]: d for d in self.world.store.all("deployments", NAMESPACE)}
        found = set()
        for pod in self.pods():
            above = sets[pod["metadata"]["ownerReferences"][0]["uid"]]
            deployment = deployments[above["metadata"]["ownerReferences"][0]["uid"]]
            found |= {o["kind"] for o in deployment["metadata"].get("ownerReferences", [])} or {"nobody"}
        return found

    def keep(self):
        """For tests that share a site: each begins where this was."""
        with self.world.lock:
            self.kept = copy.deepcopy((self.world.store.objects, self.world.store.applied, self.world.resources))

    def back(self):
        world = self.world
        with world.lock:
            world.store.objects, world.store.applied, world.resources = copy.deepcopy(self.kept)
            world.operator_runs, world.operator_saw, world.migration = True, [], "Complete"
            for noted in (world.operator_log, world.alarms, world.sick, world.on):
                noted.clear()
        return self


def running(folder):
    """A site on which overlays/k3s-arm64 runs."""
    site = Site(folder)
    for name in ("alpha", "beta", "gamma"):
        site.world.board(name)
    site.world.install("k3s", "spin-operator")
    assert site.cluster().returncode == 0
    site.secrets()
    site.first = site.done()
    site.keep()
    return site
