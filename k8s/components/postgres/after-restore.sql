-- Readers of the change feed may know of events that the dump does not have: what comes is behind them.
reset search_path;
do $$
begin
    if to_regprocedure('order_feed_after_restore()') is null then
        raise warning 'the dump is older than order_feed_after_restore(): call it when the migrations have run';
    else
        perform order_feed_after_restore();
    end if;
end
$$;
