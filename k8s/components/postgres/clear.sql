-- Takes away whatever the role that runs this has made in `public`, with all that depends on it,
-- whichever migrations have run: for restore.sh, within its transaction. What belongs to an
-- extension stays, and so does what goes with something else (row types, identities).
do $$
declare
    thing text;
begin
    loop
        select what.type || ' ' || what.identity into thing
        from (
            select 'pg_class'::regclass, oid from pg_class
            where relnamespace = 'public'::regnamespace and relowner = current_user::regrole
                  and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            union all
            select 'pg_proc'::regclass, oid from pg_proc
            where pronamespace = 'public'::regnamespace and proowner = current_user::regrole
            union all
            select 'pg_type'::regclass, oid from pg_type
            where typnamespace = 'public'::regnamespace and typowner = current_user::regrole
        ) as mine (class, id), pg_identify_object(class, id, 0) as what
        where not exists (
            select from pg_depend where classid = class and objid = id and deptype in ('e', 'i'))
        limit 1;
        exit when thing is null;
        execute 'drop ' || thing || ' cascade';
    end loop;
end
$$;
