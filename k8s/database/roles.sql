-- The two roles of the service. Run by an administrator in the service's database, before
-- the first migration; running it again changes nothing. Plain SQL, no psql commands.
-- The administrator owns the database and may create roles (CREATEROLE); a managed server has
-- no superuser to offer. Passwords are set apart, by passwords.sql.

do $$
begin
    if not exists (select from pg_roles where rolname = 'order_migrations') then
        create role order_migrations;
    end if;
    if not exists (select from pg_roles where rolname = 'order_service') then
        create role order_service;
    end if;
end
$$;

-- What else a role may be (superuser, createdb, createrole, replication, bypassrls) a new one is
-- not, and most of it only a superuser may name, even to refuse it.

-- Owns the tables; for migrations, backups and restores, the archive, and erasing users.
alter role order_migrations login connection limit 5;

-- What the component connects as: it works on rows, and grants.sql says on which tables.
alter role order_service login;

-- Nobody waits for an answer longer than a request may take (5 s), and a transaction that
-- a dead instance left open must not keep its locks.
alter role order_service set statement_timeout = '10s';
alter role order_service set idle_in_transaction_session_timeout = '10s';
alter role order_migrations set lock_timeout = '10s';

-- Everybody may connect and make temporary tables by default; here only these two roles
-- may connect, and neither makes temporary tables.
do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to order_migrations, order_service',
                   current_database());
end
$$;

revoke all on schema public from public;
grant usage, create on schema public to order_migrations;
grant usage on schema public to order_service;
