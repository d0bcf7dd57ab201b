//! From an HTTP request to its reply.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method as HttpMethod, Request, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, error};

use crate::body::{BodyError, Held};
use crate::connection::Link;
use crate::method::{Call, Connection, Method, Reply, plain_error};
use crate::plugin::{ACTIVATE, Kinds};
use crate::stage::Seen;

/// What the engine's `Accept` header asks for. It would take any type.
const REPLY_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");

/// Answers one request of a connection.
pub(crate) async fn answer(link: &Link, request: Request<Incoming>) -> Response<Full<Bytes>> {
    link.saw(Seen::Call);
    let reply = reply_to(&link.kinds, request).await;
    link.saw(Seen::Answer);

    let last = reply.connection == Connection::Close || link.draining();
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, REPLY_TYPE);
    if reply.status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn reply_to(kinds: &Kinds, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let method = kinds.method(path);
    let error = method.map_or(plain_error as fn(&str) -> Bytes, |it| it.error);

    // The body is read before anything is answered, also where nobody wants it: what is left of it on the
    // wire would be taken for the next request.
    let held = match kinds.bodies.read(body).await {
        Ok(held) => held,
        Err(refused) => return refuse(&refused, path, error),
    };
    match method {
        _ if method.is_none() && path != ACTIVATE => {
            let text = format!("this plugin has no method `{path}`");
            Reply::failed(StatusCode::NOT_FOUND, error(&text))
        }
        _ if head.method != HttpMethod::POST => {
            let text = format!("`{path}` is called with POST, not {}", head.method);
            Reply::failed(StatusCode::METHOD_NOT_ALLOWED, error(&text))
        }
        None => Reply::ok(kinds.activation.clone()),
        Some(method) => run(method, held).await,
    }
}

/// The reply to a request whose body was not read to its end, and whose connection is therefore of no more
/// use.
fn refuse(refused: &BodyError, path: &str, error: fn(&str) -> Bytes) -> Reply {
    debug!(path, error = refused as &dyn std::error::Error, "body of a plugin call was not read");
    let status = match refused {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Incomplete(_) => StatusCode::BAD_REQUEST,
    };
    Reply::failed(status, error(&refused.to_string())).closing()
}

/// Runs a method to its end, whatever becomes of the connection.
async fn run(method: &Method, held: Held) -> Reply {
    let mut call = (method.start)(held.bytes);
    // Most calls are decided from their envelope and answered at the first poll. The others move to a task of
    // their own, so that the end of the connection does not drop them half-way. The first poll has no waker
    // to keep: the task polls again at once.
    let reply = match catch_unwind(AssertUnwindSafe(|| poll_once(&mut call))) {
        Ok(Poll::Ready(reply)) => Some(reply),
        Ok(Poll::Pending) => finish(call, held.room).await,
        Err(_panic) => None,
    };
    reply.unwrap_or_else(|| {
        error!(path = method.path, "plugin panicked in a call");
        let text = format!("the plugin panicked in `{}`; its log says where", method.path);
        Reply::failed(StatusCode::INTERNAL_SERVER_ERROR, (method.error)(&text))
    })
}

fn poll_once(call: &mut Call) -> Poll<Reply> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

/// The reply of a call that takes its time, or `None` if it panics. The room for its body is held until its
/// end.
async fn finish(call: Call, room: Option<OwnedSemaphorePermit>) -> Option<Reply> {
    let task = tokio::spawn(async move {
        let reply = call.await;
        drop(room);
        reply
    });
    task.await.ok()
}
