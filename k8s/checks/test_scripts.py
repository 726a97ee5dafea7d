"""make image and make secrets, with stand-ins for the Spin CLI and the cluster, what make deploy
says before it asks any cluster (how it goes on: test_deploy.py), and what a `make up` that Docker
serves is asked."""

import base64
import os
import pty
import re
import stat
import subprocess

import pytest
import yaml

from manifests import ROOT, kubectl

DIGEST = "sha256:" + "ab" * 32

SPIN = """#!/bin/sh
echo "$@" >> "$LOG"
case $1 in
--version) echo "spin 4.0.2 (a1b2c3d 2026-01-01)" ;;
registry) echo "Pushing app to the Registry.."; echo "Pushed with digest %s" ;;
esac
""" % DIGEST

# Answers what `make secrets` asks: HELD is what every Secret has; if it is a file, what has been made.
KUBECTL = """#!/bin/sh
case "$*" in
*kustomize*|*--local*) exec %s "$@" ;;
esac
echo "$@" >> "$LOG"
if [ -f "$HELD" ]; then
    asked=$*
    name=${asked#*get secret } key=${asked##*.data.}
    sed -n "/^  name: ${name%%%% *}$/,/^---/s/^  ${key%%?}: //p" "$HELD" | tr -d '"' | head -c -1 | base64 --wrap 0
else
    printf %%s "$HELD"
fi
"""


@pytest.fixture
def tools(tmp_path):
    for name, text in (("spin", SPIN), ("kubectl", KUBECTL % kubectl())):
        file = tmp_path / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "log").touch()
    return tmp_path


def run(script, tools, **env):
    path = f"{tools}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tools), "LOG": str(tools / "log"), "HELD": "", **env}
    done = subprocess.run(
        [str(ROOT / "scripts" / script)], env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )
    return done, (tools / "log").read_text().splitlines()


def at(log, words):
    """The line of the log in which these words stand."""
    return next(i for i, line in enumerate(log) if words in line)


def test_image_builds_then_pushes_and_prints_the_pinned_name(tools):
    done, log = run("image", tools, IMAGE="localhost:5000/orders:1.2.3", INSECURE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"localhost:5000/orders@{DIGEST}\n"
    push = at(log, "registry push --insecure --from spin.toml localhost:5000/orders:1.2.3")
    assert at(log, "build --from spin.toml") < push


def test_image_without_the_spin_cli_says_where_to_get_it(tools):
    done, _ = run("image", tools, IMAGE="localhost:5000/orders:1", SPIN="/nowhere/spin")
    assert done.returncode != 0
    assert "https://github.com/spinframework/spin/releases" in done.stderr


def test_image_without_a_name_says_so(tools):
    done, _ = run("image", tools)
    assert done.returncode != 0
    assert "IMAGE=" in done.stderr


@pytest.mark.parametrize("overlay", ["k3s-arm64", "deployment", "autoscale", "cloudnativepg"])
def test_deploy_pins_the_image_everywhere_and_leaves_no_placeholder(tools, overlay):
    image = f"localhost:5000/orders@{DIGEST}"
    done, log = run("deploy", tools, IMAGE=image, OVERLAY=overlay, DRY_RUN="1")
    assert done.returncode == 0, done.stderr
    assert image in done.stdout
    assert "0" * 64 not in done.stdout
    assert log == []
    # Each step has its objects.
    parts = [
        found["metadata"].get("labels", {}).get("app.kubernetes.io/component")
        for found in yaml.safe_load_all(done.stdout)
    ]
    assert parts.count("migrations") == 1
    assert parts.count("api") == 2


def test_deployments_beside_each_other_keep_their_images(tools):
    """The second one is made whole after the first has written down its image."""
    other = f"localhost:5000/orders@sha256:{'cd' * 32}"
    beside = f'[ "$IMAGE" = {other} ] || IMAGE={other} "{ROOT}/scripts/deploy" >"{tools}/other"\n'
    with open(tools / "kubectl", "r+") as file:
        first, *rest = file.readlines()
        file.seek(0)
        file.writelines([first, beside, *rest])
    done, _ = run("deploy", tools, IMAGE=f"localhost:5000/orders@{DIGEST}", DRY_RUN="1")
    assert done.returncode == 0, done.stderr
    assert DIGEST in done.stdout and other not in done.stdout
    assert other in (tools / "other").read_text()


@pytest.mark.parametrize(
    "image", ["orders", "orders:1.0.0", "orders@sha256:abc", "orders@sha256:" + "0" * 64]
)
def test_deploy_takes_only_a_pinned_image(tools, image):
    done, log = run("deploy", tools, IMAGE=image)
    assert done.returncode != 0
    assert log == []


ARCHIVE = {"ARCHIVE_KEY_ID": "id", "ARCHIVE_KEY": "key"}


def secrets(tools, **env):
    done, _ = run("secrets", tools, **env)
    assert done.returncode == 0, done.stderr
    assert "CHANGE_ME" not in done.stdout
    return {s["metadata"]["name"]: s for s in yaml.safe_load_all(done.stdout)}


def test_secrets_are_those_of_the_example(tools):
    made = secrets(tools) | secrets(tools, POSTGRES="cloudnativepg", **ARCHIVE)
    example = yaml.safe_load_all((ROOT / "k8s/base/secret.example.yaml").read_text())
    for wanted in example:
        found = made.pop(wanted["metadata"]["name"])
        assert found["stringData"].keys() == wanted["stringData"].keys()
        assert found["type"] == wanted["type"]
        assert wanted["metadata"].get("labels", {}).items() <= found["metadata"]["labels"].items()
    assert made == {}


def test_secrets_of_cloudnativepg_agree_with_the_urls(tools):
    made = {n: s["stringData"] for n, s in secrets(tools, POSTGRES="cloudnativepg", **ARCHIVE).items()}
    for login, user in (("service", "service"), ("migrations", "migrations")):
        held = made[f"order-database-{login}"]
        assert held["username"] == f"order_{user}"
        url = f"postgres://{held['username']}:{held['password']}@order-database-rw:5432/orders"
        assert made[f"order-{login}"]["database_url"].startswith(url)
    assert made["order-database-archive"] == {"access_key_id": "id", "secret_access_key": "key"}
    assert "order-postgres" not in made
    assert made["order-service"]["database_read_url"] == ""


def test_secrets_keep_the_replicas_that_answer_lists(tools):
    def read_url(**env):
        return secrets(tools, **env)["order-service"]["stringData"]["database_read_url"]

    url = read_url(DATABASE_READ_HOST="order-database-ro:5432")
    assert re.fullmatch(r"postgres://order_service:\w{48}@order-database-ro:5432/orders\?sslmode=disable", url)
    held = base64.b64encode(url.encode()).decode()
    assert "@order-database-ro:5432/" in read_url(HELD=held)
    assert read_url(HELD=held, DATABASE_READ_HOST="none") == ""


def test_secrets_of_cloudnativepg_want_the_keys_of_the_archive_the_first_time(tools):
    done, _ = run("secrets", tools, POSTGRES="cloudnativepg")
    assert done.returncode != 0
    assert "ARCHIVE_KEY_ID" in done.stderr
    done, _ = run("secrets", tools, POSTGRES="cloudnativepg", HELD="aHVudGVyMg==")
    assert done.returncode == 0, done.stderr


def test_secrets_have_passwords_that_agree(tools):
    done, _ = run("secrets", tools)
    assert done.returncode == 0, done.stderr
    made = {s["metadata"]["name"]: s["stringData"] for s in yaml.safe_load_all(done.stdout)}
    service = made["order-postgres"]["service_password"]
    assert f"order_service:{service}@order-postgres:5432/" in made["order-service"]["database_url"]
    owner = made["order-postgres"]["migrations_password"]
    assert f"order_migrations:{owner}@" in made["order-migrations"]["database_url"]
    assert made["order-redis"]["redis_password"] in made["order-service"]["redis_url"]
    assert len({*made["order-postgres"].values(), made["order-redis"]["redis_password"]}) == 4


def test_secrets_keep_the_pooler_before_the_same_postgres(tools):
    def database_url(**env):
        done, _ = run("secrets", tools, **env)
        assert done.returncode == 0, done.stderr
        (tools / "held").write_text(done.stdout)
        made = {s["metadata"]["name"]: s["stringData"] for s in yaml.safe_load_all(done.stdout)}
        return made["order-service"]["database_url"]

    held = str(tools / "held")
    url = database_url(DATABASE_HOST="order-pgbouncer:5432")
    assert "@order-pgbouncer:5432/" in url
    assert database_url(HELD=held) == url
    assert "@order-postgres:5432/" in database_url(HELD=held, DATABASE_HOST="order-postgres:5432")
    assert "@order-postgres:5432/" in database_url(HELD=held)
    database_url(HELD=held, DATABASE_HOST="order-pgbouncer:5432")
    assert "@db.example:5432/" in database_url(HELD=held, POSTGRES_HOST="db.example:5432")


def test_secrets_of_servers_elsewhere_have_the_urls_that_are_named(tools):
    redis = "rediss://default:it's \"theirs\"@cache.example:6380/2"
    made = secrets(tools, POSTGRES_HOST="db.example:5433", DATABASE_NAME="shop", SSLMODE="require", REDIS_URL=redis)
    assert "order-redis" not in made
    assert made["order-service"]["stringData"]["redis_url"] == redis
    for name in ("order-service", "order-migrations"):
        assert made[name]["stringData"]["database_url"].endswith("@db.example:5433/shop?sslmode=require")


def test_secrets_take_nothing_but_a_url_for_redis(tools):
    done, _ = run("secrets", tools, REDIS_URL="cache.example:6380")
    assert done.returncode != 0 and done.stdout == ""
    assert "rediss://" in done.stderr


def test_secrets_keep_the_passwords_that_the_cluster_has(tools):
    done, _ = run("secrets", tools, HELD="aHVudGVyMg==", DATABASE_HOST="order-pgbouncer:5432")
    made = {s["metadata"]["name"]: s["stringData"] for s in yaml.safe_load_all(done.stdout)}
    url = "postgres://order_service:hunter2@order-pgbouncer:5432/orders?sslmode=disable"
    assert made["order-service"]["database_url"] == url
    assert "@order-postgres:5432/" in made["order-migrations"]["database_url"]


@pytest.fixture
def by_docker(tools):
    """A checkout whose `make up` has its servers in Docker; gives what runs its scripts."""
    for folder in ("scripts", "k8s", "migrations"):
        (tools / folder).symlink_to(ROOT / folder)
    for folder in (".dev/run", ".dev/data"):
        (tools / folder).mkdir(parents=True)
    (tools / ".dev/run/up.postgres").write_text("28432 true\n")
    docker = 'echo "$@" >> "$HOME/log"\n[ -t 0 ] || cat >/dev/null\n'
    for name, text in (("docker", docker), ("dbmate", "")):
        (tools / name).write_text("#!/bin/sh\n" + text)
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tools)}

    def runner(script, stdin=subprocess.DEVNULL, **env):
        done = subprocess.run([str(tools / "scripts" / script)], env={**environment, **env}, cwd=tools, stdin=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return (tools / "log").read_text()

    return runner


def test_the_grants_of_a_migration_go_to_the_servers_of_make_up(by_docker):
    # The number is that of the checkout.
    assert re.search(r"compose --project-name order-service-up-\d+ ", by_docker("migrate"))
    assert "order-service-migrate" not in by_docker("migrate")


def test_sql_that_comes_through_a_pipe_finds_no_terminal(by_docker):
    assert "exec -T postgres psql" in by_docker("archive", MONTHS="24")


def test_psql_in_docker_has_the_terminal_that_there_is(by_docker):
    ours, theirs = pty.openpty()
    try:
        assert "exec postgres psql" in by_docker("psql", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
