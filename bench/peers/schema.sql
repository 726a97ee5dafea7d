-- The database of the peers, made anew by each `make bench`: what such a service starts with, with
-- neither counters nor events.

create table orders (
    id               uuid           primary key,
    user_id          varchar(255)   not null,
    status           varchar(50)    not null,
    total_amount     decimal(10, 2) not null,
    currency         varchar(3)     not null default 'USD',
    shipping_address text           not null,
    billing_address  text,
    notes            text,
    created_at       timestamptz    not null default now(),
    updated_at       timestamptz    not null default now()
);

create table order_items (
    id         uuid           primary key,
    order_id   uuid           not null references orders (id) on delete cascade,
    product_id varchar(255)   not null,
    quantity   integer        not null,
    unit_price decimal(10, 2) not null,
    subtotal   decimal(10, 2) not null,
    created_at timestamptz    not null default now(),
    updated_at timestamptz    not null default now()
);

create index on orders (user_id, created_at desc);
create index on orders (created_at desc);
create index on order_items (order_id);
