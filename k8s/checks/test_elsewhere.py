"""Servers elsewhere, as docs/deployment.md has it: its commands by an administrator who is no superuser
but owns the database, in the Postgres of TEST_DATABASE_URL. The cluster is a Secret."""

import base64
import os
import secrets
import subprocess
import time
from urllib.parse import urlsplit

import psycopg
import pytest

from manifests import ROOT
from test_roles import ORDER, PASSWORD, ROWS, URL, execute, migrate_and_grant, pytestmark, url  # noqa: F401
from test_walk import section

ROLES = ("order_migrations", "order_service")
# Takes what is applied, and holds the same password under every key.
KUBECTL = """#!/bin/sh
case "$*" in
*apply*) cat >"$HOME/applied" ;;
*) printf %s "$HELD" ;;
esac
"""


def commands():
    [block] = section("Postgres and Redis elsewhere")
    return block


@pytest.fixture
def administrator():
    """The URL of a database of its own, for a role that may create roles and nothing else."""
    assert URL, "CI must set TEST_DATABASE_URL"
    name, password = f"elsewhere_{secrets.token_hex(6)}", secrets.token_hex(12)
    with psycopg.connect(URL, autocommit=True) as superuser:
        execute(superuser, f"create role {name} login createrole password '{password}'")
        execute(superuser, f"create database {name} owner {name}")
        # Whoever has made roles may alter them; these may be there already, and somebody else's.
        if superuser.info.server_version >= 160000:
            for (role,) in execute(superuser, f"select rolname from pg_roles where rolname in {ROLES}").fetchall():
                execute(superuser, f"grant {role} to {name} with admin option")
    try:
        place = urlsplit(URL)
        yield name, f"postgres://{name}:{password}@{place.hostname}:{place.port or 5432}/{name}?sslmode=disable"
    finally:
        with psycopg.connect(URL, autocommit=True) as superuser:
            execute(superuser, f"drop database {name} with (force)")
            execute(superuser, f"drop role {name}")


@pytest.fixture
def run(tmp_path):
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path),
                   "HELD": base64.b64encode(PASSWORD.encode()).decode()}

    def runner(admin_url):
        """Every role belongs to the whole server: other suites may set them up at this moment."""
        for attempt in range(20):
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands()], cwd=ROOT, capture_output=True,
                                  text=True, check=False, env={**environment, "ADMIN_URL": admin_url})
            if done.returncode == 0 or "concurrently" not in done.stderr:
                break
            time.sleep(0.2 + attempt / 10)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "applied").read_text()

    return runner


def test_an_administrator_who_is_no_superuser_sets_the_database_up(administrator, run):
    database, admin_url = administrator
    applied = run(admin_url)
    assert f"order_migrations:{PASSWORD}@" in applied and f"order_service:{PASSWORD}@" in applied
    migrate_and_grant(database)
    with psycopg.connect(url(database, "order_service"), autocommit=True) as service:
        execute(service, ORDER)
        assert len(execute(service, ROWS).fetchall()) == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(service, "delete from orders")


def test_the_roles_may_nothing_that_a_table_does_not_grant(administrator, run):
    """roles.sql does not name what a new role lacks anyway."""
    run(administrator[1])
    with psycopg.connect(URL, autocommit=True) as superuser:
        found = execute(superuser, f"""
            select rolname, rolcanlogin, rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls
            from pg_roles where rolname in {ROLES} order by 1""").fetchall()
    assert found == [(role, True, False) for role in ROLES]


def test_a_statement_that_fails_ends_the_commands():
    lines = [line for line in commands().splitlines() if "psql " in line]
    assert len(lines) == 2 and all("--set ON_ERROR_STOP=1" in line for line in lines)
