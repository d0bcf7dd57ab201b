//! Authorization plugins: asked before and after every call of the Engine API.
//!
//! An engine that was started with `--authorization-plugin NAME` asks its plugins in order, before it does
//! anything. The first that denies or fails stops the call, and then none is asked about the response. After
//! the engine has acted, and before its response goes out, all are asked again.
//!
//! Two things surprise those who write policy:
//!
//! - A request's body may be missing although there is one, and the engine acts on it all the same. See
//!   [`Request::body`].
//! - A plugin that cannot be reached denies everything: each API call fails after 15 s, and an engine that is
//!   starting ends.

mod decision;
mod envelope;
mod fields;

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tracing::debug;

pub use decision::Decision;
pub use envelope::{Request, Response};
pub use fields::{DecodeError, EncodedBody, EncodedCertificate, Headers, PeerCertificates};

use crate::method::{Call, Method, Reply};
use envelope::{Envelope, EnvelopeError};

/// The name of this kind in the reply to `/Plugin.Activate`.
pub(crate) const IMPLEMENTS: &str = "authz";

/// Decides which calls of the Engine API go through.
///
/// Calls come concurrently, and the engine waits for each without any limit of its own. A call may come
/// twice: the engine repeats one whose connection breaks.
///
/// A decision that is ready at once, without awaiting anything, costs no task and no copy of the request.
pub trait Authorization: Send + Sync + 'static {
    /// Decides about a call before the engine acts on it.
    fn request(&self, request: Request<'_>) -> impl Future<Output = Decision> + Send;

    /// Decides whether the response of a call is shown, after the engine has acted.
    ///
    /// A denial undoes nothing: a container whose creation is denied here exists. It replaces a response that
    /// has not gone out yet, so neither streams nor responses above 64 KiB. Allows unless implemented.
    fn response(&self, response: Response<'_>) -> impl Future<Output = Decision> + Send {
        _ = response;
        async { Decision::Allow }
    }
}

/// The methods of this kind.
pub(crate) fn methods<A: Authorization>(authorization: Arc<A>) -> [Method; 2] {
    let asked = Arc::clone(&authorization);
    let request = move |body: Bytes| -> Call {
        let asked = Arc::clone(&asked);
        Box::pin(async move {
            match Envelope::parse(&body) {
                Ok(envelope) => asked.request(envelope.request).await.into_reply(),
                Err(wrong) => refuse(&wrong, &body),
            }
        })
    };
    let response = move |body: Bytes| -> Call {
        let asked = Arc::clone(&authorization);
        Box::pin(async move {
            match Envelope::parse(&body) {
                Ok(envelope) => asked.response(envelope.into_response()).await.into_reply(),
                Err(wrong) => refuse(&wrong, &body),
            }
        })
    };
    [
        Method { path: "/AuthZPlugin.AuthZReq", start: Box::new(request), error: decision::error },
        Method { path: "/AuthZPlugin.AuthZRes", start: Box::new(response), error: decision::error },
    ]
}

/// The reply to a call whose body says nothing that could be decided on.
///
/// An empty body is no oddity: an engine whose call was cut off after the body was sent repeats it without
/// (`callWithRetry` in moby, `pkg/plugins/client.go`). Allowing it would let the original request through,
/// unseen.
fn refuse(wrong: &EnvelopeError, body: &Bytes) -> Reply {
    debug!(error = wrong as &dyn std::error::Error, bytes = body.len(), "authorization call refused");
    Reply::failed(StatusCode::BAD_REQUEST, decision::error(&wrong.to_string()))
}
