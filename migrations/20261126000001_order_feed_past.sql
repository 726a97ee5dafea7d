-- migrate:up

-- The events from before there was a feed come first in it, each order's in their order. They
-- are written by nobody, so that this long statement keeps nobody waiting.
update order_events as e set position = 0, number = past.number
from (
    select order_id, sequence, row_number() over (order by at, order_id, sequence) as number
    from (select order_id, sequence,
                 max(created_at) over (partition by order_id order by sequence) as at
          from order_events where number is null) as ordered
) as past
where e.order_id = past.order_id and e.sequence = past.sequence;

alter table order_events alter column number set not null;

-- migrate:down

alter table order_events alter column number drop not null;
update order_events set position = null, number = null where position = 0;
