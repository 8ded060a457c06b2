//! The two listeners of a process: opening, answering, closing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::open_files;
use super::threads::DecisionThreads;
use crate::config::ServeArgs;
use crate::http::listener::tls::{Certificates, TlsFiles};
use crate::http::listener::{Door, serve};
use crate::http::overload::Pulse;
use crate::http::{DecisionsService, Listener, RoutedService};
use crate::replica::validation;
use crate::signals::Stop;

/// Where callers come in.
#[derive(Debug)]
pub(super) struct Doors {
    decisions: Door,
    /// Administration; in a process that only decides, metrics or nothing.
    second: Option<Door>,
    is_decisions_only: bool,
    threads: DecisionThreads,
}

impl Doors {
    /// Opens the listeners. From now on the system lets callers queue.
    ///
    /// # Errors
    /// An address is taken, or there is no TLS to be made from the files that are named.
    pub(super) fn open(
        args: &ServeArgs,
        listener: &Listener,
        certificates: &mut Certificates,
    ) -> anyhow::Result<Self> {
        let limits = &args.limits;
        let connections = room_for_decisions(args);
        let mut tls = |name, files: Option<TlsFiles>| {
            let tls = files.map(|files| certificates.show(name, files));
            tls.transpose()
                .with_context(|| format!("cannot speak TLS on the {name} listener"))
        };
        let decisions_tls = tls("decisions", args.decisions_tls.files())?;
        let second_tls = tls("admin", args.admin_tls.files())?;
        let door = |name, socket, tls, connections| Door {
            name,
            socket,
            tls,
            limits: limits.of_connections(connections),
            metrics: listener.metrics.clone(),
            load: None,
        };
        let queue = limits.accept_queue;
        let threads = DecisionThreads::start().context("cannot start threads for decisions")?;
        let decisions = {
            let _threads = threads.enter();
            bind(args.decisions, "decisions", queue)?
        };
        let second = args.second_listener().map(|(name, address)| {
            let socket = bind(address, name, queue)?;
            anyhow::Ok(door(name, socket, second_tls, limits.max_admin_connections))
        });
        Ok(Self {
            decisions: Door {
                load: Some(Arc::clone(&listener.load)),
                ..door("decisions", decisions, decisions_tls, connections)
            },
            second: second.transpose()?,
            is_decisions_only: args.decisions_only,
            threads,
        })
    }

    pub(super) fn decisions_url(&self) -> io::Result<String> {
        url(&self.decisions)
    }

    pub(super) fn second_url(&self) -> io::Result<Option<String>> {
        self.second.as_ref().map(url).transpose()
    }

    /// Answers until a signal comes, then lets go in order: not ready but still there for `delay`, no new connections, answers
    /// finished.
    pub(super) async fn answer(
        self,
        listener: Arc<Listener>,
        mut stop: Stop,
        delay: Duration,
    ) -> io::Result<()> {
        let Self {
            decisions,
            second,
            is_decisions_only,
            threads,
        } = self;
        let _pulses = [
            pulse(threads.handle(), "decisions", &listener)?,
            pulse(&Handle::current(), "administration", &listener)?,
        ];
        // Where the calls are that wait for them, so that neither has to wake another thread.
        let proofs = CancellationToken::new();
        let replica = Arc::clone(&listener.replica);
        threads
            .handle()
            .spawn(validation::rounds(replica, proofs.clone()));
        let _until_the_last_answer = proofs.drop_guard();
        let no_more = CancellationToken::new();
        let service = DecisionsService::new(Arc::clone(&listener));
        let mut serving = JoinSet::new();
        serving.spawn_on(serve(decisions, service, no_more.clone()), threads.handle());
        if let Some(door) = second {
            let routed = match is_decisions_only {
                true => RoutedService::metrics(Arc::clone(&listener)),
                false => RoutedService::admin(Arc::clone(&listener)),
            };
            serving.spawn(serve(door, routed, no_more.clone()));
        }

        stop.wait().await;
        listener.draining.cancel();
        tracing::info!("stopping: not ready any more, still accepting for {delay:?}");
        // Whoever sends a second signal has waited long enough.
        let _ = tokio::time::timeout(delay, stop.wait()).await;
        tracing::info!("stopping: finishing what is being answered");
        no_more.cancel();
        serving.join_all().await;
        Ok(())
    }
}

/// Where callers find it.
fn url(door: &Door) -> io::Result<String> {
    let scheme = if door.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", door.socket.local_addr()?))
}

fn pulse(threads: &Handle, name: &'static str, listener: &Listener) -> io::Result<Pulse> {
    let wait = match name {
        "decisions" => listener.load.of_decisions(),
        _ => listener.load.of_administration(),
    };
    let gauge = listener.metrics.edge.wait(name);
    Pulse::start(
        threads,
        Arc::clone(wait),
        gauge,
        Arc::clone(&listener.clock),
    )
}

/// How many connections of the decisions listener there is room for, at most as many as are wanted.
fn room_for_decisions(args: &ServeArgs) -> u32 {
    let (wanted, admin) = (
        args.limits.max_connections,
        args.limits.max_admin_connections,
    );
    let room = open_files::make_room(u64::from(wanted) + u64::from(admin));
    let room = u32::try_from(room.saturating_sub(admin.into())).unwrap_or(u32::MAX);
    let connections = room.clamp(1, wanted);
    if connections < wanted {
        tracing::warn!(
            connections,
            "the limit of open files leaves room for fewer connections than --max-connections; raise it (`ulimit -n`)"
        );
    }
    connections
}

fn bind(address: SocketAddr, what: &str, queue: u32) -> anyhow::Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for connections that have ended already.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(queue)
    };
    listen().with_context(|| {
        format!("cannot listen for {what} on {address}; choose another address with --{what}")
    })
}
