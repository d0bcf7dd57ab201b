//! One connection of an engine, from accept to close.
//!
//! Hyper reads and writes HTTP. What it cannot know is added around it: how long a connection may keep
//! silent, and when one can be closed so that its client can tell for certain that nothing of its next call
//! was taken.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use crate::call;
use crate::plugin::Kinds;
use crate::serve::Drain;
use crate::stage::{Seen, Stage};

/// How long the headers of a request may take to come, and a new connection to send its first byte.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// How long a drain waits for the first call on a connection. Whoever connected is about to send: the
/// engine's client writes as soon as it is connected, so this is scheduling on a busy machine.
const FIRST_CALL_MAX: Duration = Duration::from_secs(1);

/// How long a drain leaves an idle connection open for one more call, which can be answered with `Connection:
/// close`.
///
/// Go's client takes that answer well, but not the end of a connection that it has just picked: it gives up a
/// call of which it has written nothing yet when it reads the end first (`mapRoundTripError` in `net/http`),
/// and the engine then repeats it without its body. Closing at once lost an engine 20.10 under load 32 calls
/// in 76 restarts. A connection in use is seen off within milliseconds, and one that nobody used for this
/// long will hardly be picked in the 0.1 ms that matter. An engine that finds no successor tries again after
/// a second, so half of one costs nothing.
const NEXT_CALL_MAX: Duration = Duration::from_millis(500);

/// The size of request headers, in bytes. The engine sends about 200. Their number is bounded by hyper, at
/// 100.
const HEAD_SIZE_MAX: usize = 16 * 1024;

/// How much of a connection's input is read at once, in bytes. What a connection has once needed it keeps, so
/// this is also what an idle connection may cost.
const READ_BUFFER_MAX: usize = 64 * 1024;

/// A connection as its parts share it: the stream below HTTP, the calls above.
pub(crate) struct Link {
    pub(crate) kinds: Arc<Kinds>,
    drain: Arc<Drain>,
    stage: AtomicU8,
}

impl Link {
    pub(crate) fn new(kinds: Arc<Kinds>, drain: Arc<Drain>) -> Link {
        Link { kinds, drain, stage: AtomicU8::new(Stage::Fresh as u8) }
    }

    /// Whether replies must say that they are the last on their connection.
    pub(crate) fn draining(&self) -> bool {
        self.drain.has_begun()
    }

    /// Notes what a part of the connection saw.
    pub(crate) fn saw(&self, seen: Seen) {
        // One task drives all parts of a connection, so nothing comes between load and store.
        let before = self.stage();
        let after = before.after(seen);
        self.stage.store(after as u8, Ordering::Relaxed);
        if before == Stage::Replying && after == Stage::Idle {
            self.drain.count_answered();
        }
    }

    fn stage(&self) -> Stage {
        Stage::from_number(self.stage.load(Ordering::Relaxed))
    }
}

/// Serves a connection until the client closes it, or until it is drained.
///
/// Dropping the future cuts the connection off: the client sees the end of it instead of an answer. A
/// plugin's method that has not answered at its first poll has a task of its own by then, and goes on.
pub(crate) async fn run(stream: UnixStream, link: Arc<Link>) {
    let mut owed = Owed { link: &link, connected: true };
    let stream = TokioIo::new(Stream::new(stream, Arc::clone(&link)));
    let service = service_fn(|request| {
        let link = Arc::clone(&link);
        async move { Ok::<_, Infallible>(call::answer(&link, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            // A client that has sent its request and shut down its side still gets its answer. For us it
            // matters more that hyper then never looks for the end of the stream during a call, and so never
            // drops one.
            .half_close(true)
            // Hyper's own limit also runs on idle connections and would close them, with a call perhaps on
            // its way.
            .header_read_timeout(None)
            .max_header_size(HEAD_SIZE_MAX)
            .max_buf_size(READ_BUFFER_MAX)
            .auto_date_header(false)
            .serve_connection(stream, service)
    );
    // Asked once, which leaves our waker there: the drain wakes this task, and from then on each read that finds
    // nothing looks whether the connection can be closed. Asking at each turn would take a lock that all
    // connections share.
    let mut begun = pin!(link.drain.begun());
    poll_fn(|cx| Poll::Ready(_ = begun.as_mut().poll(cx))).await;
    let ended = connection.as_mut().await;
    owed.connected = false;
    if let Err(error) = ended {
        debug!(%error, "plugin connection ended early");
    }
}

/// Notices a connection that is cut off while it owes an answer.
struct Owed<'a> {
    link: &'a Link,
    connected: bool,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.connected && self.link.stage().owes_answer() {
            self.link.drain.count_cut_off();
        }
    }
}

/// How much longer a connection may stay as it is, while nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Forever,
    /// Counted from when the stage was reached, or the drain began.
    For(Duration),
}

/// The patience with a connection at `stage`.
fn patience(stage: Stage, draining: bool) -> Patience {
    match (stage, draining) {
        // The engine keeps some idle connections for ever (up to 28.x). Only a drain ends them.
        (Stage::Idle, false) => Patience::Forever,
        (Stage::Idle, true) => Patience::For(NEXT_CALL_MAX),
        (Stage::Fresh, true) => Patience::For(FIRST_CALL_MAX),
        (Stage::Fresh, false) | (Stage::Receiving, _) => Patience::For(HEAD_MAX),
        // Reading a body has its own bound; how long an answer takes is the plugin's affair.
        (Stage::Calling | Stage::Replying, _) => Patience::Forever,
    }
}

/// The bytes of a connection.
struct Stream {
    inner: UnixStream,
    link: Arc<Link>,
    /// Runs while nothing comes that should. Made when first needed: most requests come whole.
    clock: Option<Pin<Box<Sleep>>>,
    /// What the clock was last wound up for.
    waiting_for: Option<(Stage, bool)>,
}

impl Stream {
    fn new(inner: UnixStream, link: Arc<Link>) -> Stream {
        Stream { inner, link, clock: None, waiting_for: None }
    }

    /// Called when there is nothing to read: ends the connection if patience with it is over.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = (self.link.stage(), self.link.draining());
        match patience(now.0, now.1) {
            Patience::Forever => return Poll::Pending,
            Patience::For(limit) => ready!(self.poll_clock(cx, now, limit)),
        }
        if now.0 == Stage::Receiving {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "request headers took too long",
            )));
        }
        self.refuse_further_calls();
        // The kernel wakes us: either for what came before the refusal or for the end that it is.
        Poll::Pending
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>, now: (Stage, bool), limit: Duration) -> Poll<()> {
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(limit)));
        if self.waiting_for.replace(now) != Some(now) {
            clock.as_mut().reset(Instant::now() + limit);
        }
        clock.as_mut().poll(cx)
    }

    /// Makes the client's next write fail at its first byte, unless that byte is already here.
    ///
    /// Closing the connection would throw away a request that has just come, and the engine would repeat it
    /// without its body. After this, what has come can still be read and answered, and a client that writes
    /// knows that nothing was taken. A request of several writes is torn apart if its first one falls into
    /// the instant between the look and the shutdown.
    fn refuse_further_calls(&self) {
        let socket = self.inner.as_raw_fd();
        let ahead = recv(socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
        if ahead == Err(Errno::EAGAIN) {
            _ = shutdown(socket, Shutdown::Read);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.link.saw(Seen::ReadWanted);
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(cx, buffer) else {
            return self.poll_silence(cx);
        };
        if buffer.filled().len() > before {
            self.link.saw(Seen::Bytes);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.saw(Seen::Closing);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_never_hurries_a_connection_that_is_owed_an_answer() {
        assert_eq!(patience(Stage::Calling, true), Patience::Forever);
        assert_eq!(patience(Stage::Replying, true), Patience::Forever);
        assert_eq!(patience(Stage::Receiving, true), patience(Stage::Receiving, false));
    }

    #[test]
    fn idle_connections_are_closed_by_a_drain_alone() {
        assert_eq!(patience(Stage::Idle, false), Patience::Forever);
        assert_eq!(patience(Stage::Idle, true), Patience::For(NEXT_CALL_MAX));
    }

    #[test]
    fn a_new_connection_has_a_moment_to_send_its_first_call() {
        assert_eq!(patience(Stage::Fresh, true), Patience::For(FIRST_CALL_MAX));
    }
}
