"""The archive's tables, made by whoever archives first."""

import psycopg
import test_roles as roles

pytestmark = roles.pytestmark


def test_an_administrator_who_archives_makes_tables_of_the_owners():
    with roles.made(roles.by_administrator) as database:
        roles.migrate_and_grant(database)
        with psycopg.connect(roles.url(database), autocommit=True) as admin:
            admin.execute("call orders_archive('2025-01-01')")
            owners = admin.execute("select tableowner from pg_tables where tablename like 'archived_%'")
            assert owners.fetchall() == [("order_migrations",)] * 4
        roles.migrate_and_grant(database)
