//! Accepting connections, and the drain that ends it.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::{UnixListener, UnixStream};
use tokio::select;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::connection::{self, Link};
use crate::listener::{Claim, Listener};
use crate::plugin::{Kinds, Plugin};

/// How many connections a plugin serves at once, over all its listeners.
///
/// The engine opens one for every call that overlaps others: one for each command that waits for an answer.
/// Half of the 1,024 descriptors that a service has by default are left for what it does to answer. Further
/// connections wait in the socket's queue, where the engine waits with them.
pub const CONNECTIONS_MAX: usize = 512;

/// The pause after an accept that failed, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A limit for those who want none: a year, since the clock does not reach much further on every system.
const LIMIT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Calls whose answer was written after the shutdown was asked for.
    pub answered: u64,
    /// Calls that had begun to come, and had no answer when the limit was reached. The engine repeats them
    /// with an empty body, which is refused.
    pub cut_off: u64,
}

/// Why a listener cannot be served at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The runtime cannot watch the socket.
    #[error("watch a listening socket")]
    Watch {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Plugin {
    /// Answers calls until `shutdown`, then drains for at most `limit`.
    ///
    /// Runs on a tokio runtime that has its I/O and its clock enabled.
    ///
    /// Calls run concurrently. A method that panics is answered with status 500, and the connection lives on.
    /// A client that goes away does not end the method it called: the engine's own clients come and go, and a
    /// half-done change helps nobody. To end, a method needs a limit of its own.
    ///
    /// # The drain
    ///
    /// An engine whose call is cut off after its body was sent repeats the call with an empty body, and one
    /// that cannot connect repeats it whole. So a drain sees to it that a call is either answered or refused
    /// before its first byte:
    ///
    /// 1. The socket's path is removed, if it is still the one we bound. A successor can bind it from now on.
    /// 2. Whoever had connected by then is accepted, and then the socket is closed. A socket that systemd
    ///    passed is left alone instead: what waits in its queue is the successor's.
    /// 3. Calls in flight are answered. Every reply says `Connection: close`.
    /// 4. A connection that rests after a call may make one more within half a second, and one that has not
    ///    made any has a second for its first. After that it is shut down for reading, which lets a call that
    ///    has just come be answered, and makes a later one fail at its first byte. Then it is closed.
    /// 5. At `limit` whatever is left is cut off and counted.
    ///
    /// So an engine that rests keeps a drain for half a second, and one at work for hardly longer than its
    /// calls. A `limit` of less than a second cuts into step 4.
    ///
    /// What remains is a client that picks a connection for a call in the very instant of its end in step 4,
    /// after it had no use for it for that half second. That call is repeated with a body that is not whole,
    /// and refused.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the listener's sockets. Nothing was answered then; anything later is
    /// coped with.
    ///
    /// # Cancellation
    ///
    /// Dropping the future cuts off all connections at once and removes the socket's path. Methods that are
    /// running go on.
    pub async fn serve(
        &self,
        listener: Listener,
        shutdown: impl Future<Output = ()>,
        limit: Duration,
    ) -> Result<Drained, ServeError> {
        let Listener { claim, sockets } = listener;
        let watched: io::Result<Vec<_>> = sockets.into_iter().map(UnixListener::from_std).collect();
        let sockets = watched.map_err(|source| ServeError::Watch { source })?;
        let mut server = Server {
            kinds: Arc::clone(&self.kinds),
            drain: Arc::new(Drain::default()),
            connections: JoinSet::new(),
        };
        server.accept_until(&sockets, shutdown).await;
        Ok(server.drain(claim, sockets, Instant::now() + limit.min(LIMIT_MAX)).await)
    }
}

/// The connections of one listener. Dropping it cuts them off.
struct Server {
    kinds: Arc<Kinds>,
    drain: Arc<Drain>,
    connections: JoinSet<()>,
}

impl Server {
    async fn accept_until(&mut self, sockets: &[UnixListener], shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            select! {
                biased;
                () = &mut shutdown => return,
                Some(_) = self.connections.join_next() => {}
                accepted = accept(&self.kinds, sockets) => match accepted {
                    Ok((stream, slot)) => self.spawn(stream, Some(slot)),
                    Err(error) => {
                        warn!(%error, "plugin connection not accepted, will try again");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn spawn(&mut self, stream: UnixStream, slot: Option<OwnedSemaphorePermit>) {
        let link = Arc::new(Link::new(Arc::clone(&self.kinds), Arc::clone(&self.drain)));
        self.connections.spawn(async move {
            connection::run(stream, link).await;
            drop(slot);
        });
    }

    async fn drain(mut self, claim: Option<Claim>, sockets: Vec<UnixListener>, deadline: Instant) -> Drained {
        info!(connections = self.connections.len(), "plugin drain began");
        // Set before the path is free: whoever binds it next starts with engines that are being sent away.
        self.drain.begin();
        if let Some(claim) = claim {
            release(claim).await;
            for socket in sockets {
                self.accept_the_rest(socket, deadline).await;
            }
        } else {
            drop(sockets);
        }
        let all = async { while self.connections.join_next().await.is_some() {} };
        if timeout_at(deadline, all).await.is_err() {
            self.connections.shutdown().await;
        }
        let drained = self.drain.report();
        info!(answered = drained.answered, cut_off = drained.cut_off, "plugin drain ended");
        drained
    }

    /// Takes in everybody who connected before the path was removed, then closes the socket.
    ///
    /// The bound on connections does not hold here: those who wait are bounded by the socket's queue, and
    /// turning them away now would cut off what they have already sent.
    async fn accept_the_rest(&mut self, socket: UnixListener, deadline: Instant) {
        let socket = match socket.into_std() {
            Ok(socket) => socket,
            Err(error) => return warn!(%error, "plugin socket not taken back, its queue is lost"),
        };
        // From here on the kernel refuses to connect, also for those who looked up the path before it was
        // removed. So nobody can come between the last accept and the close.
        _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
        loop {
            match accept_waiting(&socket) {
                Ok(Some(stream)) => self.spawn(stream, None),
                Ok(None) => return,
                Err(error) if Instant::now() < deadline => {
                    warn!(%error, "plugin connection not accepted during the drain, will try again");
                    sleep(ACCEPT_PAUSE).await;
                }
                Err(error) => return warn!(%error, "plugin connections not accepted, they are lost"),
            }
        }
    }
}

/// The next connection of any socket, once there is a free slot for it.
async fn accept(kinds: &Kinds, sockets: &[UnixListener]) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(&kinds.connections).acquire_owned().await;
    let slot = slot.expect("the slots for connections are never closed");
    let accepted = std::future::poll_fn(|cx| {
        // In a fixed order: a busy socket could starve a later one, but only while all slots are taken.
        sockets.iter().map(|it| it.poll_accept(cx)).find(Poll::is_ready).unwrap_or(Poll::Pending)
    });
    Ok((accepted.await?.0, slot))
}

/// A connection that is already waiting, or `None` when there is no more.
fn accept_waiting(socket: &StdListener) -> io::Result<Option<UnixStream>> {
    match socket.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream).map(Some)
        }
        // The second is what some kernels say of an empty queue after the shutdown.
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Removes the path, off the runtime's own threads: it takes a lock and touches a file system.
async fn release(claim: Claim) {
    if let Err(error) = spawn_blocking(move || drop(claim)).await {
        debug!(%error, "removal of the socket panicked");
    }
}

/// The drain of one listener, as its connections see it.
#[derive(Default)]
pub(crate) struct Drain {
    begun: AtomicBool,
    wake: CancellationToken,
    answered: AtomicU64,
    cut_off: AtomicU64,
}

impl Drain {
    fn begin(&self) {
        // Before anybody wakes, so that whoever does finds it set.
        self.begun.store(true, Ordering::SeqCst);
        self.wake.cancel();
    }

    /// Read for every reply, so it takes no lock.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Ends when the drain begins.
    pub(crate) async fn begun(&self) {
        self.wake.cancelled().await;
    }

    /// Counts an answer, if it is one that the drain waited for.
    pub(crate) fn count_answered(&self) {
        if self.has_begun() {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }

    fn report(&self) -> Drained {
        Drained {
            answered: self.answered.load(Ordering::Relaxed),
            cut_off: self.cut_off.load(Ordering::Relaxed),
        }
    }
}
