//! Reading request bodies within bounds.
//!
//! Every body is bounded, and so is the sum of the large ones: sixty-four calls with bodies of 1.4 MB at once
//! once left a server with 130 MiB for good. A body that comes in one piece is not copied.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The largest request body that is read, in bytes (about 11 MiB). A larger one is answered with 413.
///
/// The largest call an engine makes is an authorization call: up to 4 MiB of request body (`maxBodySize` in
/// moby, `pkg/authorization/authz.go`) and 64 KiB of response body, both in base64. The request body is
/// counted twice, which leaves room for an engine that raises its bound once more, and for headers and client
/// certificates.
pub const BODY_MAX: usize = 2 * base64_size(4 * 1024 * 1024) + base64_size(64 * 1024);

/// Bodies up to this size, in bytes, never wait for room: almost all are, and they must not queue behind
/// large ones. [`CONNECTIONS_MAX`](crate::CONNECTIONS_MAX) bounds their sum.
const SMALL_BODY_MAX: usize = 64 * 1024;

/// How much all larger bodies together may hold, in bytes, from reading until the end of their call. Five of
/// the largest that an engine sends fit; more of them wait, unread, in their sockets.
const LARGE_BODIES_MAX: usize = 32 * 1024 * 1024;

/// How long a body may take once its headers have come. The engine sends it from memory, in one go.
const READ_MAX: Duration = Duration::from_secs(30);

/// How long the rest of a body that is too large is read and thrown away.
const DISCARD_MAX: Duration = Duration::from_secs(5);

/// The room for bodies, shared by all connections of a plugin.
pub(crate) struct Bodies {
    /// A permit is a byte. Its queue is first come, first served, so that a large body cannot starve either.
    room: Arc<Semaphore>,
}

/// A body in memory. Its bytes count as held until it is dropped.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {BODY_MAX} bytes")]
    TooLarge,
    #[error("the body was not complete within {READ_MAX:?}")]
    TooSlow,
    #[error("the body ended early")]
    Incomplete(#[source] hyper::Error),
}

impl Bodies {
    pub(crate) fn new() -> Bodies {
        Bodies { room: Arc::new(Semaphore::new(LARGE_BODIES_MAX)) }
    }

    /// Reads a whole body, waiting for room first if it is large.
    pub(crate) async fn read(&self, mut body: Incoming) -> Result<Held, BodyError> {
        let declared = body.size_hint().exact();
        let declared = declared.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        let room = match declared {
            Some(size) if size > BODY_MAX => None,
            size => self.room_for(size.unwrap_or(0)).await,
        };
        let read = timeout(READ_MAX, self.collect(&mut body, declared, room)).await;
        let read = read.unwrap_or(Err(BodyError::TooSlow));
        if matches!(read, Err(BodyError::TooLarge)) {
            discard(&mut body).await;
        }
        read
    }

    /// The pieces of the body in one.
    async fn collect(
        &self,
        body: &mut Incoming,
        declared: Option<usize>,
        mut room: Option<OwnedSemaphorePermit>,
    ) -> Result<Held, BodyError> {
        if declared.is_some_and(|it| it > BODY_MAX) {
            return Err(BodyError::TooLarge);
        }
        let first = next(body).await?.unwrap_or_default();
        if body.is_end_stream() {
            return Ok(Held { bytes: first, room });
        }
        let mut bytes = BytesMut::with_capacity(declared.unwrap_or(first.len()));
        bytes.extend_from_slice(&first);
        drop(first);
        while let Some(piece) = next(body).await? {
            let size = bytes.len() + piece.len();
            if size > BODY_MAX {
                return Err(BodyError::TooLarge);
            }
            if declared.is_none() && room.is_none() && size > SMALL_BODY_MAX {
                // A chunked body does not say how large it will be. It takes room for the largest at once: if
                // it took room as it grew, several could each hold a part and wait for the rest for ever.
                room = self.room_for(BODY_MAX).await;
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Held { bytes: bytes.freeze(), room })
    }

    /// Room for a body of `size` bytes; `None` for a small one, which needs none.
    async fn room_for(&self, size: usize) -> Option<OwnedSemaphorePermit> {
        if size <= SMALL_BODY_MAX {
            return None;
        }
        let size = u32::try_from(size).expect("a body that is read has at most `BODY_MAX` bytes");
        let room = Arc::clone(&self.room).acquire_many_owned(size).await;
        Some(room.expect("the room for bodies is never closed"))
    }
}

/// The next piece of the body, or `None` at its end. Trailers carry nothing for us and are skipped.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(BodyError::Incomplete)?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

/// Reads on for a while without keeping anything.
///
/// A client that is still sending when the connection closes sees a write error instead of the reply that
/// says why. One that sends more than twice [`BODY_MAX`] is not waited for.
async fn discard(body: &mut Incoming) {
    let mut left = BODY_MAX;
    let all = async {
        while let Ok(Some(piece)) = next(body).await {
            match left.checked_sub(piece.len()) {
                Some(it) => left = it,
                None => return,
            }
        }
    };
    // A client that stalls now gets its reply at once.
    _ = timeout(DISCARD_MAX, all).await;
}

/// How many characters `bytes` take in base64.
const fn base64_size(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_body_fits_in_the_room_for_all() {
        const { assert!(BODY_MAX <= LARGE_BODIES_MAX) };
        assert!(u32::try_from(BODY_MAX).is_ok());
    }

    #[test]
    fn a_full_response_call_of_the_newest_engine_fits() {
        let request_body = base64_size(4 * 1024 * 1024);
        let response_body = base64_size(64 * 1024);
        assert!(BODY_MAX > request_body + response_body + 1024 * 1024);
    }
}
