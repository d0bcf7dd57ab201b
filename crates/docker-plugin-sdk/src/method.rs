//! What the server knows of a kind of plugin: a table of methods.
//!
//! A kind translates between its own types and bytes; paths, bounds, panics and connections are the server's.
//! The shape of an error belongs to the kind, because kinds differ in it: an authorization error also says
//! `Allow`, and an IPAM driver's key is `Error` where all others have `Err`.

use std::pin::Pin;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;

/// A call on its way to a reply.
pub(crate) type Call = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// One method of one kind of plugin.
pub(crate) struct Method {
    /// As in the request line, with its slash: `/AuthZPlugin.AuthZReq`.
    pub(crate) path: &'static str,
    /// Turns the body of a request into the call. Nothing of the plugin's own runs before the call is polled.
    pub(crate) start: Box<dyn Fn(Bytes) -> Call + Send + Sync>,
    /// The body of a reply that is an error, around the text that a person will read.
    pub(crate) error: fn(&str) -> Bytes,
}

/// A reply before it is put in HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) connection: Connection,
}

/// What becomes of the connection after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Keep,
    /// What is left of the request on the wire cannot be told from the next one.
    Close,
}

impl Reply {
    /// A success. The engine takes 200 alone for one: 201 and 204 are failures to it.
    pub(crate) fn ok(body: Bytes) -> Reply {
        Reply { status: StatusCode::OK, body, connection: Connection::Keep }
    }

    /// A failure that the next call on the connection does not suffer from.
    pub(crate) fn failed(status: StatusCode, body: Bytes) -> Reply {
        Reply { status, body, connection: Connection::Keep }
    }

    /// The same reply, after which the connection is closed.
    pub(crate) fn closing(self) -> Reply {
        Reply { connection: Connection::Close, ..self }
    }
}

/// The error shape of everything that belongs to no kind.
pub(crate) fn plain_error(text: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct PlainError<'a> {
        err: &'a str,
    }
    to_json(&PlainError { err: text })
}

/// The JSON of one of our own replies.
pub(crate) fn to_json(reply: &impl Serialize) -> Bytes {
    serde_json::to_vec(reply).expect("a reply holds only strings and booleans").into()
}
