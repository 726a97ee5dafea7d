-- Sets the passwords of both roles from the environment (psql only, so that no password is
-- on a command line): for the first start, and later to change them.

\getenv migrations_password MIGRATIONS_PASSWORD
\getenv service_password SERVICE_PASSWORD

set password_encryption = 'scram-sha-256';
alter role order_migrations password :'migrations_password';
alter role order_service password :'service_password';
