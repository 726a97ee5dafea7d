//! `spin:postgres`: connections from a pool, statements prepared at each call.

#![expect(
    clippy::result_large_err,
    reason = "the guest's interface says what an error contains"
)]

mod client;
mod convert;
mod errors;
mod params;
mod pools;
mod rows;

use opentelemetry::KeyValue;
use wasmtime::component::{
    Accessor, FutureReader, HasSelf, Resource, ResourceTableError, StreamReader,
};

pub use self::client::Client;
pub use self::pools::{Address, Pools};
use self::rows::RowProducer;
use crate::bindings::spin::postgres::postgres::{
    Column, Error, Host, HostConnection, HostConnectionBuilder, HostConnectionBuilderWithStore,
    HostConnectionWithStore, ParameterValue, Row, RowSet,
};
use crate::state::State;
use crate::telemetry::Call;

/// The most that the rows of a reply may take in memory, as in Spin.
const MAX_REPLY_BYTES: usize = 128 << 20;

/// A guest's connection: one of the pool, until the guest drops it.
pub type Connection = Client;

/// What a guest has said about a connection it wants.
pub type ConnectionBuilder = Address;

type Guest<T> = Accessor<T, HasSelf<State>>;

impl Host for State {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<Error> {
        Ok(error)
    }
}

impl State {
    /// Begins a call's span. It is named after the statement, as Spin does it.
    fn statement_call(&self, statement: &str) -> Call {
        self.scope.call(|| {
            let system = KeyValue::new("db.system", "postgresql");
            let text = KeyValue::new("statement", statement.to_owned());
            (statement.to_owned(), vec![system, text])
        })
    }

    fn open_call(&self, name: &str, address: &Address) -> Call {
        self.scope.call(|| {
            let mut attributes = vec![KeyValue::new("db.system", "postgresql")];
            if let Ok(url) = url::Url::parse(&address.url) {
                let database = url.path().trim_start_matches('/').to_owned();
                attributes.push(KeyValue::new(
                    "db.address",
                    url.host_str().unwrap_or_default().to_owned(),
                ));
                attributes.push(KeyValue::new(
                    "server.port",
                    i64::from(url.port().unwrap_or_default()),
                ));
                attributes.push(KeyValue::new("db.namespace", database));
            }
            (name.to_owned(), attributes)
        })
    }

    fn client(&self, connection: &Resource<Connection>) -> Result<Client, Error> {
        let found = self.table.get(connection);
        found
            .cloned()
            .map_err(|_| Error::ConnectionFailed("no connection found".to_owned()))
    }

    fn keep(&mut self, client: Client) -> Result<Resource<Connection>, Error> {
        let kept = self.table.push(client);
        kept.map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }

    async fn open_blocking(&mut self, address: &Address) -> Result<Resource<Connection>, Error> {
        let call = self.open_call("spin_outbound_pg.open", address);
        let opened = self.app.open_postgres(address).await;
        let client = opened.inspect_err(|error| call.fail(error))?;
        self.keep(client)
    }
}

impl crate::app::App {
    /// Takes a connection from the pool of an address, if the guest may go there.
    async fn open_postgres(&self, address: &Address) -> Result<Client, Error> {
        pools::check(&self.allowed_hosts, &address.url)?;
        self.pools
            .open(address)
            .await
            .map_err(|error| Error::ConnectionFailed(format!("{error:#}")))
    }
}

async fn open<T: Send>(guest: &Guest<T>, address: Address) -> Result<Resource<Connection>, Error> {
    let (app, call) = guest.with(|mut access| {
        let state = access.get();
        (
            state.app.clone(),
            state.open_call("spin_outbound_pg.open_async", &address),
        )
    });
    let opened = app.open_postgres(&address).await;
    let client = opened.inspect_err(|error| call.fail(error))?;
    guest.with(|mut access| access.get().keep(client))
}

/// Finds the connection of a call and begins the call's span.
fn begin<T>(
    guest: &Guest<T>,
    connection: &Resource<Connection>,
    statement: &str,
) -> Result<(Client, Call), Error> {
    guest.with(|mut access| {
        let state = access.get();
        Ok((state.client(connection)?, state.statement_call(statement)))
    })
}

impl HostConnectionBuilder for State {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.table.push(address_of(address))?)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> Result<(), Error> {
        let ca_root = pools::certificate(&certificate)?;
        let found = self.table.get_mut(&builder).map_err(no_builder)?;
        found.ca_root = Some(ca_root);
        Ok(())
    }

    async fn build(
        &mut self,
        builder: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>, Error> {
        let address = self.builder_address(&builder)?;
        self.open_blocking(&address).await
    }

    async fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl State {
    fn builder_address(&self, builder: &Resource<ConnectionBuilder>) -> Result<Address, Error> {
        Ok(self.table.get(builder).map_err(no_builder)?.clone())
    }
}

fn no_builder(_: ResourceTableError) -> Error {
    Error::ConnectionFailed("no builder found".to_owned())
}

/// Where nothing was said of an authority.
fn address_of(url: String) -> Address {
    Address { url, ca_root: None }
}

impl HostConnectionBuilderWithStore for HasSelf<State> {
    async fn build_async<T: Send>(
        guest: &Guest<T>,
        builder: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>, Error> {
        let address = guest.with(|mut access| access.get().builder_address(&builder))?;
        open(guest, address).await
    }
}

/// The calls without `-async` keep the whole instance waiting, as they do in Spin.
impl HostConnection for State {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, Error> {
        self.open_blocking(&address_of(address)).await
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let call = self.statement_call(&statement);
        let client = self.client(&connection)?;
        client
            .query(&statement, params)
            .await
            .inspect_err(|error| call.fail(error))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let call = self.statement_call(&statement);
        let client = self.client(&connection)?;
        client
            .execute(&statement, params)
            .await
            .inspect_err(|error| call.fail(error))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl HostConnectionWithStore for HasSelf<State> {
    async fn open_async<T: Send>(
        guest: &Guest<T>,
        address: String,
    ) -> Result<Resource<Connection>, Error> {
        open(guest, address_of(address)).await
    }

    async fn query_async<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<
        (
            Vec<Column>,
            StreamReader<Row>,
            FutureReader<Result<(), Error>>,
        ),
        Error,
    > {
        let (client, call) = begin(guest, &connection, &statement)?;
        let streamed = client.query_streamed(&statement, params).await;
        let streamed = streamed.inspect_err(|error| call.fail(error))?;
        guest.with(|mut access| {
            let host_failure = |error: wasmtime::Error| Error::Other(error.to_string());
            let rows = RowProducer::new(streamed.rows);
            let rows = StreamReader::new(&mut access, rows).map_err(host_failure)?;
            let end = FutureReader::new(&mut access, streamed.end).map_err(host_failure)?;
            Ok((streamed.columns, rows, end))
        })
    }

    async fn execute_async<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let (client, call) = begin(guest, &connection, &statement)?;
        client
            .execute(&statement, params)
            .await
            .inspect_err(|error| call.fail(error))
    }
}
