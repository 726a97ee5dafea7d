//! The TCP side of a link: accepting, passing on, refusing, falling silent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Seen, Tap};

/// Ports below those that the system hands out, so that nobody takes one while it is refusing.
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 32_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Open,
    Silent,
    Vanished,
    Refusing,
}

/// What connections watch: the mode, a number that changes when they must break, and one that
/// changes when nothing of theirs arrives any more.
#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    generation: u64,
    vanished: u64,
}

#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    /// Connections that have been accepted.
    pub(super) accepted: Arc<AtomicUsize>,
    state: watch::Sender<State>,
    /// Whether the port is open right now; follows the mode with a little delay.
    is_listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(
        server: String,
        tap: fn() -> Box<dyn Tap>,
        seen: Arc<Mutex<Vec<Seen>>>,
    ) -> Self {
        let listener = free_port().await;
        let address = listener.local_addr().expect("the address that was bound");
        let (state, watched) = watch::channel(State {
            mode: Mode::Open,
            generation: 0,
            vanished: 0,
        });
        let (listening, is_listening) = watch::channel(true);
        let accepted = Arc::<AtomicUsize>::default();
        let plan = Plan {
            server,
            accepted: Arc::clone(&accepted),
            tap,
            seen,
            state: watched,
        };
        let task = tokio::spawn(plan.accept(listener, listening));
        Self {
            address,
            accepted,
            state,
            is_listening,
            task,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn switch(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.generation += u64::from(mode == Mode::Refusing);
            state.vanished += u64::from(mode == Mode::Vanished);
        });
        let mut is_listening = self.is_listening.clone();
        let expected = mode != Mode::Refusing;
        let followed = is_listening
            .wait_for(|&is_listening| is_listening == expected)
            .await;
        followed.expect("the link lives as long as its test");
    }

    pub(super) fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener on a port of which this process is sure that it can be opened again.
pub async fn free_port() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = LAST_PORT - FIRST_PORT;
    // Processes that run at the same time begin in different places.
    let start = u16::try_from(std::process::id() * 97 % u32::from(span)).unwrap_or(0);
    for _ in 0..span {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + (start.wrapping_add(step)) % span;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return listener;
        }
    }
    panic!("there is no free port between {FIRST_PORT} and {LAST_PORT}");
}

/// What each connection needs to know.
#[derive(Clone)]
struct Plan {
    server: String,
    accepted: Arc<AtomicUsize>,
    tap: fn() -> Box<dyn Tap>,
    seen: Arc<Mutex<Vec<Seen>>>,
    state: watch::Receiver<State>,
}

impl Plan {
    async fn accept(self, mut listener: TcpListener, listening: watch::Sender<bool>) {
        let address = listener.local_addr().expect("the address that was bound");
        let mut state = self.state.clone();
        loop {
            tokio::select! {
                refusing = state.wait_for(|state| state.mode == Mode::Refusing) => {
                    if refusing.is_err() {
                        return;
                    }
                }
                accepted = listener.accept() => {
                    if let Ok((client, _)) = accepted {
                        self.accepted.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(self.clone().serve(client));
                    }
                    continue;
                }
            }
            drop(listener);
            listening.send_replace(false);
            if state
                .wait_for(|state| state.mode != Mode::Refusing)
                .await
                .is_err()
            {
                return;
            }
            listener = bind_again(address).await;
            listening.send_replace(true);
        }
    }

    /// Passes bytes on until one side ends or the test breaks the connection.
    async fn serve(self, client: TcpStream) {
        let State {
            mode, generation, ..
        } = *self.state.borrow();
        if mode == Mode::Refusing {
            return;
        }
        let mut state = self.state.clone();
        tokio::select! {
            _ = self.pass_on(client) => {}
            _ = state.wait_for(|state| state.generation != generation) => {}
        }
    }

    async fn pass_on(self, client: TcpStream) -> io::Result<()> {
        let mut state = self.state.clone();
        let vanished = state.borrow().vanished;
        wait_while_silent(&mut state, vanished).await?;
        let server = TcpStream::connect(&self.server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut tap = (self.tap)();
        let seen = Arc::clone(&self.seen);
        let note = move |bytes: &[u8]| {
            let at = Instant::now();
            let requests = tap.read(bytes).into_iter();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(requests.map(|request| Seen { request, at }));
        };
        tokio::select! {
            done = copy(from_client, to_server, self.state.clone(), vanished, note) => done,
            done = copy(from_server, to_client, self.state.clone(), vanished, |_| ()) => done,
        }
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    vanished: u64,
    mut note: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        wait_while_silent(&mut state, vanished).await?;
        note(&buffer[..length]);
        to.write_all(&buffer[..length]).await?;
    }
}

/// Waits for ever if the server has vanished since the connection was accepted, or before.
async fn wait_while_silent(state: &mut watch::Receiver<State>, vanished: u64) -> io::Result<()> {
    if state.borrow().mode == Mode::Vanished {
        std::future::pending::<()>().await;
    }
    let passes = |state: &State| state.mode == Mode::Open && state.vanished == vanished;
    let open = state.wait_for(passes).await;
    open.map(|_| ()).map_err(io::Error::other)
}

async fn bind_again(address: SocketAddr) -> TcpListener {
    let mut last_error = None;
    for _ in 0..100 {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => last_error = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("cannot listen on {address} again: {last_error:?}");
}
