"""Databases, and the import as somebody runs it."""

import csv
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
# Of the runs under test; scripts/check-import has one of its own.
STAND = "import-in-test"
REPORT = ROOT / f".dev/{STAND}-report.csv"
URL = os.environ["TEST_DATABASE_URL"]
# Roles belong to the whole server: whoever sets it up beside this says the same.
PASSWORD = os.environ.get("TEST_ROLES_PASSWORD", "roles-in-tests")


def url(database: str, role: str | None = None) -> str:
    parts = urlsplit(URL)
    who = f"{role}:{PASSWORD}" if role else parts.netloc.rpartition("@")[0]
    return f"postgres://{who}@{parts.hostname}:{parts.port or 5432}/{database}?sslmode=disable"


def sql(database: str, text: str) -> str:
    command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url(database)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    return done.stdout.strip()


@contextmanager
def open_transaction(database: str, text: str) -> Iterator[None]:
    """Another session that has done this, and commits at the end of the block."""
    session = subprocess.Popen(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url(database)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        session.stdin.write(f"begin; {text};\n\\echo begun\n")
        session.stdin.flush()
        while (line := session.stdout.readline()) != "begun\n":
            assert line, "the session has ended"
        yield
    finally:
        session.communicate("commit;")


def drop(*names: str) -> None:
    for name in names:
        sql("postgres", f"drop database if exists {name} with (force);")


def old_database(name: str, *statements: str) -> None:
    drop(name)
    sql("postgres", f"create database {name};")
    sql(name, "begin;" + "\n".join(statements) + "commit; analyze;")


TEMPLATE = "import_template"


def template() -> None:
    """As in production: the import acts as the role that migrates, and may do no more."""
    drop(TEMPLATE)
    sql("postgres", f"create database {TEMPLATE};")
    sql(TEMPLATE, (ROOT / "k8s/database/roles.sql").read_text()
        + "".join(f"alter role {role} password '{PASSWORD}';" for role in ("order_migrations", "order_service")))
    subprocess.run([os.environ["DBMATE"], "--env-file", "/dev/null", "--migrations-dir", "migrations",
                    "--no-dump-schema", "up"], cwd=ROOT, check=True, capture_output=True,
                   env={**os.environ, "DATABASE_URL": url(TEMPLATE, "order_migrations")})
    sql(TEMPLATE, "set role order_migrations;" + (ROOT / "k8s/database/grants.sql").read_text())


def new_database(name: str) -> None:
    drop(name)
    sql("postgres", f"create database {name} template {TEMPLATE};")
    # Who may connect is no part of a template.
    sql(name, (ROOT / "k8s/database/roles.sql").read_text())


def environment(old: str, new: str, settings: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("TAKE", "DRY_RUN", "TIME_ZONE")}
    return {**kept, "FROM": url(old), "DATABASE_URL": url(new, "order_migrations"), "ENV_FILE": "/dev/null",
            "MIGRATION_DATABASE_URL": "", "STAND": STAND, "REPORT": str(REPORT), **settings}


class Report:
    def __init__(self, said: str) -> None:
        self.said = said
        with open(REPORT, newline="") as file:
            self.rows = list(csv.DictReader(file))

    def reasons(self, outcome: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in self.rows:
            if row["outcome"] == outcome:
                found.setdefault(row["order_id"], set()).add(row["reason"])
        return found

    def names(self, outcome: str, reason: str) -> set[str]:
        return {row["order_id"] for row in self.rows if row["outcome"] == outcome and row["reason"] == reason}


def run(old: str, new: str, words: tuple[str, ...], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/import", *words], env=environment(old, new, settings), capture_output=True,
                          text=True, check=False)


def give_back(new: str, old: str, **settings: str) -> str:
    done = run(old, new, ("back",), settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def take_over(old: str, new: str, **settings: str) -> Report:
    done = run(old, new, (), settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return Report(done.stdout)


def refused(old: str, new: str, *words: str, **settings: str) -> str:
    done = run(old, new, words, settings)
    assert done.returncode != 0, done.stdout
    return done.stderr.strip()


def killed(old: str, new: str, within_s: float, **settings: str) -> bool:
    """Starts the import and kills it, with all that it has started, after a random time. False:
    it had ended before."""
    process = subprocess.Popen([ROOT / "scripts/import"], env=environment(old, new, settings),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(random.uniform(0, within_s))
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # The session has a group of its own. Every other time it is left to the next run to end it.
    line = ROOT / f".dev/run/{STAND}+import.pid"
    if not ended and line.exists() and random.random() < 0.5:
        try:
            os.killpg(int(line.read_text().split()[0]), signal.SIGKILL)
        except (ProcessLookupError, ValueError, IndexError):
            pass
    return not ended


# What the service keeps true, whoever writes.
INVARIANTS = {
    "bodies are those of the rows": "select count(*) from orders where body is distinct from order_body_of(id)",
    "one event for each version": """select count(*) from orders as o where version <>
        (select count(*) from order_events where order_id = o.id)
        or version <> (select max(sequence) from order_events where order_id = o.id)""",
    "the last event is the status": """select count(*) from orders as o where status <>
        (select to_status from order_events where order_id = o.id and sequence = o.version)""",
    "each event begins where the one before ended": """select count(*) from order_events as e
        where from_status is distinct from (select to_status from order_events as b
                                            where b.order_id = e.order_id and b.sequence = e.sequence - 1)""",
    "the feed tells of each order's events in their order": """select count(*) from (
        select sequence, row_number() over (partition by order_id order by position, number) as place
        from order_events) as e where sequence <> place""",
    "the counts are exact": """select count(*) from (select user_id, status, count(*) as n from orders group by 1, 2) as o
        full join (select * from user_order_counts where count <> 0) as c using (user_id, status)
        where n is distinct from count""",
    "the counts of all are exact": """select (select coalesce(sum(count), 0) from order_counts) - (select count(*) from orders)
        + (select coalesce(sum(count), 0) from order_day_counts) - (select count(*) from orders)""",
    "nothing is left but what is known": """select count(*) from pg_class
        where relname ~ '^import' and relkind = 'r' and relname <> 'import_known'""",
}


def check_invariants(new: str) -> None:
    for title, query in INVARIANTS.items():
        assert sql(new, query) == "0", f"{title}: {sql(new, query)}"


def digest(new: str) -> str:
    """All that was taken over. Places in the feed depend on when it was."""
    return sql(new, """
        select md5(string_agg(md5(o::text), '' order by id)) from orders as o;
        select md5(string_agg(md5(i::text), '' order by id)) from order_items as i;
        select md5(string_agg(md5(concat_ws(' ', order_id, sequence, from_status, to_status, reason,
                                            created_at)), '' order by order_id, sequence)) from order_events;
        select md5(string_agg(md5(k::text), '' order by old_id)) from import_known as k;""")


SUMS = """select user_id, case when status = 'processing' then 'confirmed' else status end as state,
    count(*), sum(total_amount::text::numeric)::numeric(20, 2) from orders where {} group by 1, 2 order by 1, 2;"""


def check_sums(old: str, new: str, report: Report) -> int:
    """Counted and summed by user and status, both sides agree."""
    left = ",".join(f"'{id}'" for id in report.reasons("left_out")) or "''"
    live = "true" if not sql(old, "select 1 from pg_attribute where attrelid = 'orders'::regclass and attname = 'deleted_at'") else "deleted_at is null"
    there = sql(old, "set timezone = 'UTC';" + SUMS.format(f"{live} and id::text not in ({left})"))
    here = sql(new, "set timezone = 'UTC';" + SUMS.format("true"))
    assert there and there == here, f"{len(there.splitlines())} and {len(here.splitlines())} sums"
    return len(there.splitlines())
