-- migrate:up

-- When the price of the line was seen, where it was the last known one because the product
-- service could not be asked; null: asked for this order.
alter table order_items add column price_as_of timestamptz;

-- migrate:down

alter table order_items drop column price_as_of;
