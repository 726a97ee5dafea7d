-- The report, and the count. No personal data: ids, statuses and amounts.

\pset format csv
\pset tuples_only off
select old_id as order_id, outcome, reason, coalesce(detail, '') as detail
from (
    select old_id, outcome, reason, detail from import_problem
    union all
    -- What an option has changed is said by every run.
    select old_id, 'adjusted', split_part(what, ': ', 1),
           substr(what, length(split_part(what, ': ', 1)) + 3)
    from (select old_id, unnest(adjusted) as what from import_known
          where not :dry_run or old_id not in (select old_id from import_ready)
          union all
          select old_id, unnest(adjusted) from import_ready
          where :dry_run and action in ('insert', 'status', 'content')) as adjusted
) as report
order by outcome, reason, old_id, detail \g .dev/import/report.csv
\pset format unaligned
\pset tuples_only on

select 'say ' || format('%s orders in the old database: %s new, %s changed, %s as they were taken over before',
                        (select count(*) from import_list), inserted, changed,
                        (select count(*) from import_list) - inserted - changed - left_out)
from (select count(*) filter (where action = 'insert') as inserted,
             count(*) filter (where action in ('status', 'content')) as changed,
             count(*) filter (where action is null or action in ('changed_here', 'archived_here')) as left_out
      from import_ready) as ready;
select 'say ' || format('  %s: %s%s', outcome, reason, ' (' || count(distinct case reason when 'line_without_order' then detail else old_id end) || ')')
from import_problem group by outcome, reason order by outcome, reason;

\if :dry_run
\else
-- Both sides, order by order: user, status and amount. Left out are those of the report, and
-- those that have been changed here.
with there as (
    select l.old_id, l.user_id, l.total_amount,
           coalesce((:'statuses'::jsonb) ->> l.status, l.status) as status
    from import_list as l
    where l.old_id not in (select old_id from import_problem where old_id is not null)
), here as (
    select k.old_id, o.user_id, o.total_amount, o.status, k.order_id
    from import_known as k left join orders as o on o.id = k.order_id
    where o.version = k.version is not false and k.adjusted = '{}'
      and k.old_id not in (select old_id from import_problem where old_id is not null)
), ignored as (
    select k.old_id from import_known as k left join orders as o on o.id = k.order_id
    where o.version <> k.version or k.adjusted <> '{}'
), both_sides as (
    select there.old_id is not null and here.old_id is not null and there.user_id = here.user_id
           and there.status = here.status and there.total_amount = here.total_amount as agrees,
           here.total_amount, here.user_id
    from there full join here using (old_id)
    where coalesce(there.old_id, here.old_id) not in (select old_id from ignored)
)
select case when count(*) filter (where agrees is not true) = 0
            then format('say both sides agree: %s orders of %s users, %s in all', count(*),
                        count(distinct user_id), coalesce(sum(total_amount), 0))
            else format('say both sides differ in %s orders: they were changed in the old database while this ran; run it again',
                        count(*) filter (where agrees is not true)) end
from both_sides;
\endif
