"""Both database roles, on a database of their own in the Postgres of TEST_DATABASE_URL
(superuser). The SQL and the order of things are those of the cluster: roles.sql by the
administrator, dbmate by the migration role, grants.sql by the migration role."""

import os
import re
import secrets
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import psycopg
import pytest

import docs
from manifests import ROOT, cluster

URL = os.environ.get("TEST_DATABASE_URL")
DBMATE = os.environ.get("DBMATE") or shutil.which("dbmate")
SQL = ROOT / "k8s/database"
TABLE = re.compile(r"^create table (\w+)", re.M)

pytestmark = pytest.mark.skipif(
    not (URL and DBMATE) and not os.environ.get("CI"),
    reason="needs TEST_DATABASE_URL and dbmate (make test has both)",
)


def url(database, role=None):
    parts = urlsplit(URL)
    user, password = (role, PASSWORD) if role else (parts.username, parts.password or "")
    host = f"{parts.hostname}:{parts.port or 5432}"
    return f"postgres://{user}:{quote(password, safe='')}@{host}/{database}?sslmode=disable"


# Roles belong to the whole server, so that two runs beside each other must agree.
PASSWORD = os.environ.get("TEST_ROLES_PASSWORD", "roles-in-tests")


def execute(connection, text):
    return connection.execute(text)


def psql_file(file, **env):
    """passwords.sql reads the environment, which only psql can."""
    return subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={env.pop('URL')}",
         f"--file={file}"],
        env={**os.environ, **env}, capture_output=True, text=True, check=True,
    )


def migrate(database, migrations=ROOT / "migrations"):
    return subprocess.run(
        [DBMATE, "--env-file", "/dev/null", "--migrations-dir", str(migrations),
         "--no-dump-schema", "migrate", "--strict"],
        env={**os.environ, "DATABASE_URL": url(database, "order_migrations")},
        capture_output=True, text=True, check=False,
    )


def by_cloudnativepg(name):
    """As CloudNativePG makes the database of components/cloudnativepg: with an owner, then the SQL of
    the Cluster as administrator, then each role as the Cluster has it."""
    spec = cluster("overlays/cloudnativepg").get("Cluster", "order-database")["spec"]
    initdb = spec["bootstrap"]["initdb"]
    with psycopg.connect(URL, autocommit=True) as admin:
        owner = initdb["owner"]
        execute(admin, f"do $$ begin create role {owner}; exception when duplicate_object then null; end $$")
        execute(admin, f"create database {name} owner {owner}")
    with psycopg.connect(url(name), autocommit=True) as admin:
        for statement in initdb["postInitApplicationSQL"]:
            execute(admin, statement.replace("database orders", f"database {name}"))
    set_up_roles(name)
    with psycopg.connect(url(name), autocommit=True) as admin:
        for role in spec["managed"]["roles"]:
            flags = [word if role[word] else f"no{word}" for word in
                     ("login", "superuser", "createdb", "createrole", "replication", "bypassrls", "inherit")]
            execute(admin, f"alter role {role['name']} {' '.join(flags)} connection limit {role['connectionLimit']}")


def by_administrator(name):
    with psycopg.connect(URL, autocommit=True) as admin:
        execute(admin, f"create database {name}")
    set_up_roles(name)


def set_up_roles(database):
    """Other suites on the same server may set up the same roles at this moment."""
    for attempt in range(20):
        try:
            with psycopg.connect(url(database), autocommit=True) as admin:
                execute(admin, (SQL / "roles.sql").read_text())
            psql_file(SQL / "passwords.sql", URL=url(database),
                      MIGRATIONS_PASSWORD=PASSWORD, SERVICE_PASSWORD=PASSWORD)
            return
        except (psycopg.errors.InternalError_, subprocess.CalledProcessError):
            if attempt == 19:
                raise
            time.sleep(0.2)


@contextmanager
def made(by):
    assert URL and DBMATE, "CI must set TEST_DATABASE_URL and have dbmate"
    name = f"roles_{secrets.token_hex(6)}"
    try:
        by(name)
        yield name
    finally:
        with psycopg.connect(URL, autocommit=True) as admin:
            execute(admin, f"drop database {name} with (force)")


@pytest.fixture(scope="module", params=[by_administrator, by_cloudnativepg], ids=lambda by: by.__name__)
def database(request):
    with made(request.param) as name:
        yield name


def migrate_and_grant(database):
    done = migrate(database)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url(database, "order_migrations"), autocommit=True) as owner:
        execute(owner, (SQL / "grants.sql").read_text())


@pytest.fixture(scope="module")
def migrated(database):
    migrate_and_grant(database)
    return database


@pytest.fixture
def service(migrated):
    with psycopg.connect(url(migrated, "order_service"), autocommit=True) as connection:
        yield connection


def all_tables():
    return [t for f in sorted((ROOT / "migrations").glob("*.sql")) for t in TABLE.findall(f.read_text())]


def granted():
    text = (SQL / "grants.sql").read_text()
    return {t: rights for rights, t in re.findall(r"^grant (.+) on (\w+) to order_service;", text, re.M)}


def test_the_migrations_run_under_the_migration_role(migrated):
    with psycopg.connect(url(migrated), autocommit=True) as admin:
        owners = execute(admin, "select distinct tableowner from pg_tables where schemaname = 'public'")
        assert owners.fetchall() == [("order_migrations",)]


def test_migrating_and_granting_again_changes_nothing(migrated):
    assert migrate(migrated).returncode == 0
    with psycopg.connect(url(migrated, "order_migrations"), autocommit=True) as owner:
        before = execute(owner, "select relname, relacl::text from pg_class order by 1").fetchall()
        execute(owner, (SQL / "grants.sql").read_text())
        assert before == execute(owner, "select relname, relacl::text from pg_class order by 1").fetchall()


def test_every_table_of_the_migrations_has_its_grant():
    # And dbmate's own, for which the service may look up what is applied.
    assert set(granted()) == {*all_tables(), "schema_migrations"}
    assert granted()["schema_migrations"] == "select"


def test_the_service_may_do_what_is_granted_and_nothing_else(service, migrated):
    with psycopg.connect(url(migrated), autocommit=True) as admin:
        rows = execute(admin, """
            select table_name, string_agg(lower(privilege_type), ', ' order by privilege_type)
            from information_schema.table_privileges
            where grantee = 'order_service' group by table_name""").fetchall()
    found = {table: set(rights.split(", ")) for table, rights in rows}
    assert found == {t: set(rights.split(", ")) for t, rights in granted().items()}
    assert not any({"truncate", "trigger", "references"} & rights for rights in found.values())


def test_the_service_places_and_changes_an_order(service):
    order = "0190b6a0-0000-7000-8000-000000000001"
    execute(service, f"""
        with o as (
            insert into orders (id, user_id, total_amount, currency, shipping_address, billing_address)
            values ('{order}', 'user', 10.00, 'USD', 'there', 'there') returning id
        ), e as (
            insert into order_events (order_id, sequence, to_status) select id, 1, 'pending' from o
        )
        select 1""")
    execute(service, f"update orders set status = 'confirmed', version = 2 where id = '{order}'")
    assert execute(service, "select status, version from orders").fetchall() == [("confirmed", 2)]


FORBIDDEN = [
    "create table intruder (id int)",
    "create temporary table intruder (id int)",
    "create schema intruder",
    "create view intruder as select 1",
    "create function intruder() returns int language sql as 'select 1'",
    "create extension pg_trgm",
    "create role intruder",
    "create database intruder",
    "create index on orders (notes)",
    "alter table orders add column intruder text",
    "alter table orders disable trigger all",
    "alter table orders owner to order_service",
    "alter role order_service createdb",
    "alter role order_migrations password 'x'",
    "drop table orders",
    "drop index orders_created_idx",
    "truncate orders",
    "delete from orders",
    "delete from order_events",
    "update order_events set reason = 'rewritten'",
    "comment on table orders is 'x'",
    "set role order_migrations",
    "set session authorization order_migrations",
    "insert into schema_migrations values ('1')",
    "delete from schema_migrations",
    "select * from pg_authid",
    "select pg_read_file('/etc/passwd')",
    "copy orders to '/tmp/orders'",
    "copy orders to program 'cat'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_service_may_not(service, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(service, statement)


def test_the_service_reads_no_other_table(service, migrated):
    with psycopg.connect(url(migrated, "order_migrations"), autocommit=True) as owner:
        execute(owner, "create table payroll (secret text)")
        try:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                execute(service, "select * from payroll")
        finally:
            execute(owner, "drop table payroll")
    readable = execute(service, """
        select relname from pg_class
        where relkind in ('r', 'p', 'v', 'm', 'S', 'f') and relnamespace = 'public'::regnamespace
          and has_any_column_privilege(oid, 'select')""").fetchall()
    assert {name for (name,) in readable} == set(granted())


def test_a_transaction_that_is_left_open_ends_by_itself(service):
    assert execute(service, "show idle_in_transaction_session_timeout").fetchone() == ("10s",)
    assert execute(service, "show statement_timeout").fetchone() == ("10s",)


def test_nobody_else_may_connect(migrated):
    with psycopg.connect(url(migrated), autocommit=True) as admin:
        public = execute(admin, """
            select privilege_type from pg_database, aclexplode(datacl)
            where datname = current_database() and grantee = 0""").fetchall()
    assert public == []


ORDER = """
    insert into orders (id, user_id, total_amount, currency, shipping_address, billing_address)
    values (gen_random_uuid(), 'kept', 1.00, 'USD', 'there', 'there')"""
ROWS = "select id, status, version from orders order by id"


def as_owner(database, *statements):
    """What the last statement finds."""
    with psycopg.connect(url(database, "order_migrations"), autocommit=True) as owner:
        for statement in statements:
            found = execute(owner, statement)
        return found.fetchall() if found.description else []


def cron_job(name, database, folder):
    """What a CronJob of components/postgres runs, with another folder for its volume."""
    pod = next(p for p in cluster("overlays/k3s-arm64").pods() if p.owner == f"CronJob {name}")
    command = [part.replace("/backup", str(folder)).replace("/restore/", f"{ROOT}/k8s/components/postgres/")
               for part in pod.spec["containers"][0]["command"]]
    return subprocess.run(
        command, env={"PATH": os.environ["PATH"], "DATABASE_URL": url(database, "order_migrations")},
        capture_output=True, text=True, check=False,
    )


def back_up(database, folder):
    done = cron_job("order-postgres-backup", database, folder)
    assert done.returncode == 0, done.stderr


def restore(database, folder):
    done = cron_job("order-postgres-restore", database, folder)
    assert done.returncode == 0, done.stderr
    return done


def test_a_backup_puts_the_orders_back(migrated, tmp_path):
    with psycopg.connect(url(migrated, "order_service"), autocommit=True) as service:
        execute(service, ORDER)
        before = execute(service, ROWS).fetchall()
        counts = execute(service, "select sum(count) from order_counts").fetchone()
        for _ in range(2):
            back_up(migrated, tmp_path)
        assert list(tmp_path.glob("orders-*.dump")) and not list(tmp_path.glob("*.part"))
        execute(service, "update orders set status = 'cancelled', version = version + 1")
    restore(migrated, tmp_path)
    with psycopg.connect(url(migrated, "order_service"), autocommit=True) as service:
        assert execute(service, ROWS).fetchall() == before
        assert execute(service, "select sum(count) from order_counts").fetchone() == counts
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(service, "delete from orders")
    assert migrate(migrated).returncode == 0


def test_a_dump_from_before_the_first_run_of_the_archive_can_be_put_back(migrated, tmp_path):
    as_owner(migrated, ORDER)
    before = as_owner(migrated, ROWS)
    back_up(migrated, tmp_path)
    as_owner(migrated, "call orders_archive('2020-01-01')")
    assert as_owner(migrated, "select to_regclass('archived_orders')") != [(None,)]
    restore(migrated, tmp_path)
    assert as_owner(migrated, ROWS) == before
    assert as_owner(migrated, "select to_regclass('archived_orders')") == [(None,)]


def test_a_dump_older_than_the_schema_can_be_put_back(tmp_path):
    """From before other tables referred to orders, and before the feed. What an administrator has
    installed stays."""
    older = tmp_path / "migrations"
    older.mkdir()
    for file in sorted((ROOT / "migrations").glob("*.sql"))[:2]:
        shutil.copy(file, older)
    with made(by_administrator) as database:
        assert migrate(database, older).returncode == 0
        as_owner(database, ORDER)
        before = as_owner(database, ROWS)
        back_up(database, tmp_path)
        with psycopg.connect(url(database), autocommit=True) as admin:
            execute(admin, "create extension citext")
        migrate_and_grant(database)
        assert "call it when the migrations have run" in restore(database, tmp_path).stderr
        assert as_owner(database, ROWS) == before
        assert as_owner(database, "select 'A'::citext = 'a'") == [(True,)]
        migrate_and_grant(database)
        with psycopg.connect(url(database, "order_service"), autocommit=True) as service:
            assert execute(service, ROWS).fetchall() == before


def test_a_restore_takes_the_feed_on_behind_what_its_readers_have_seen(migrated, tmp_path):
    """As if the dump came from a server that had counted further."""
    event = "insert into order_events (order_id, sequence, to_status) select id, 7, 'pending' from orders limit 1"
    as_owner(migrated, ORDER, event, "update order_events set position = position + 1000000")
    back_up(migrated, tmp_path)
    restore(migrated, tmp_path)
    # The next event's place. What the feed shows already waits for open transactions of other databases too.
    place = "pg_current_xact_id()::text::bigint + transaction_offset"
    assert as_owner(migrated, f"select {place} > (select max(position) from order_events) from order_feed") == [(True,)]


def test_a_dump_that_breaks_off_changes_nothing(migrated, tmp_path):
    as_owner(migrated, ORDER)
    back_up(migrated, tmp_path)
    [dump] = tmp_path.glob("orders-*.dump")
    dump.write_bytes(dump.read_bytes()[:-2000])
    as_owner(migrated, ORDER)
    before = as_owner(migrated, ROWS)
    assert cron_job("order-postgres-restore", migrated, tmp_path).returncode != 0
    assert as_owner(migrated, ROWS) == before


@pytest.mark.parametrize("archive", [False, True])
def test_the_counters_are_made_anew_as_the_runbook_says(archive):
    text = (ROOT / "docs/runbook.md").read_text()
    [block] = [block for _, block in docs.FENCE.findall(text) if "delete from order_counts" in block]
    statements = block.split("<<'SQL'\n")[1].removesuffix("SQL\n")
    with made(by_administrator) as database:
        migrate_and_grant(database)
        as_owner(database, ORDER, *["call orders_archive('2020-01-01')"] * archive,
                 "delete from order_counts")
        done = subprocess.run(
            ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "-1", f"--dbname={url(database)}"],
            input=statements, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert as_owner(database, "select sum(count) from order_counts") == [(1,)]


def test_only_seven_backups_are_kept(migrated, tmp_path):
    for day in range(1, 10):
        old = tmp_path / f"orders-2026010{day}T021700Z.dump"
        old.write_text("old")
        os.utime(old, (day, day))
    assert cron_job("order-postgres-backup", migrated, tmp_path).returncode == 0
    names = sorted(file.name for file in tmp_path.iterdir())
    assert len(names) == 7
    assert names[0] == "orders-20260104T021700Z.dump"
