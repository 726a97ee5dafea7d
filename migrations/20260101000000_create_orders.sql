-- migrate:up

create table orders (
    id               uuid primary key,
    user_id          varchar(255)   not null,
    status           varchar(50)    not null default 'pending',
    total_amount     decimal(10, 2) not null,
    currency         varchar(3)     not null default 'USD',
    shipping_address text           not null,
    billing_address  text           not null,
    notes            text,
    -- Counts the changes of the order, from 1; clients see it as the ETag.
    version          integer        not null default 1,
    created_at       timestamptz    not null default now(),
    updated_at       timestamptz    not null default now(),

    constraint orders_status_known
        check (status in ('pending', 'confirmed', 'shipped', 'delivered', 'cancelled')),
    constraint orders_total_amount_not_negative check (total_amount >= 0),
    constraint orders_currency_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    constraint orders_version_positive check (version >= 1)
);

-- The lists: newest first, by keyset on (created_at, id).
create index orders_created_idx on orders (created_at, id);
create index orders_user_created_idx on orders (user_id, created_at, id);
create index orders_status_created_idx on orders (status, created_at, id);

create table order_items (
    id         uuid primary key,
    order_id   uuid           not null references orders (id) on delete cascade,
    -- Position in the request, from 1, so that the items come back in the order sent.
    line       integer        not null,
    product_id varchar(255)   not null,
    quantity   integer        not null,
    unit_price decimal(10, 2) not null,
    subtotal   decimal(10, 2) not null,
    created_at timestamptz    not null default now(),
    updated_at timestamptz    not null default now(),

    constraint order_items_line_unique unique (order_id, line),
    constraint order_items_quantity_positive check (quantity > 0),
    constraint order_items_unit_price_not_negative check (unit_price >= 0),
    constraint order_items_subtotal_exact check (subtotal = unit_price * quantity)
);

-- What happened to an order, one row for each version: its creation and every change.
create table order_events (
    order_id    uuid        not null references orders (id) on delete cascade,
    sequence    integer     not null,
    from_status varchar(50),
    to_status   varchar(50) not null,
    reason      varchar(500),
    created_at  timestamptz not null default now(),

    constraint order_events_pkey primary key (order_id, sequence)
);

-- migrate:down

drop table order_events;
drop table order_items;
drop table orders;
