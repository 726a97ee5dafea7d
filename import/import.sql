-- One run of the import, in one session: scripts/import says what the variables are. What it
-- prints is read by scripts/import: a word, and what belongs to it.
set client_min_messages = warning;
set work_mem = '128MB';
set maintenance_work_mem = '128MB';
set jit = off;
-- A batch that a power cut takes away is taken over again by the next run.
set synchronous_commit = off;
set statement_timeout = 0;

-- Another run, whose end this one awaits; or the last statement of one that was killed.
set lock_timeout = '3min';
do $$ begin perform pg_advisory_lock(hashtext('order import')); end $$;
set lock_timeout = '1min';

\set uuid '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
\set controls '[\\u0001-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]'
\set time_min '0001-01-01 00:00:00Z'
\set time_max '9999-12-31 00:00:00Z'

\if :dry_run
begin;
\endif
\ir tables.sql

select not exists (select from import_known) as all \gset
\if :all
\echo read 'all orders'
select '\set all true', '\set ids {}' \g (format=unaligned fieldsep='\n') .dev/import/ids.sql
\else
\echo read 'what has changed'
\copy import_list from program 'PGPASSWORD="$OLD_PASSWORD" exec psql "$OLD_URL" -qAtX -v ON_ERROR_STOP=1 -f .dev/import/list.sql'
analyze import_list;
-- Whoever asks for most of the orders asks for all.
with changed as (
    select l.old_id from import_list as l left join import_known as k using (old_id)
    where k.fingerprint is distinct from l.fingerprint
), ids as (
    select count(*) > 200000 as are_many, coalesce(array_agg(old_id), '{}')::text as ids from changed
)
select '\set all ' || are_many,
       '\set ids ''' || case when are_many then '{}'
                        else replace(replace(ids, '\', '\\'), '''', '''''') end || ''''
from ids \g (format=unaligned fieldsep='\n') .dev/import/ids.sql
\i .dev/import/ids.sql
\endif
\copy import_order from program 'PGPASSWORD="$OLD_PASSWORD" exec psql "$OLD_URL" -qAtX -v ON_ERROR_STOP=1 -f .dev/import/rows.sql'
\echo read lines
\copy import_line from '.dev/import/lines'
\copy import_orphan from '.dev/import/orphans'
\! rm -f .dev/import/lines .dev/import/orphans .dev/import/ids.sql
\if :all
truncate import_list;
insert into import_list select old_id, fingerprint, user_id, status, total_amount from import_order;
\endif
analyze import_list;
analyze import_order;
analyze import_line;

select 'check ' || count(*) from import_order;
\ir lines.sql
\ir orders.sql

select 'total ' || count(*) from import_ready;
\if :dry_run
\else
\set batch `cat import/batch.sql`
select replace(replace(:'batch', '%FROM', n::text), '%TO', least(n + :size - 1, last)::text)
from (select coalesce(max(n), 0) as last from import_ready) as ready, generate_series(1, last, :size) as n
\gexec
-- What the lists and the change feed need to know of so many new rows.
select count(*) > 10000 as are_many from import_ready \gset
\if :are_many
analyze orders, order_items, order_events, user_order_counts, order_day_counts, import_known;
\endif
\endif
\ir report.sql
\if :dry_run
rollback;
\else
drop table import_list, import_orphan, import_order, import_line, import_todo, import_item,
           import_ready, import_problem;
drop function import_text_fault(text, integer, boolean);
\endif
