-- Erases the user that the environment names, and prints the orders whose copies have to go: those
-- of the last day, so that an erasure that broke off can be repeated. By psql, as the owner.
\set ON_ERROR_STOP on
\getenv user ERASE_USER
call order_erase(:'user');
select order_id, max(sequence) from order_events
where erases and created_at > now() - interval '1 day' group by order_id;
