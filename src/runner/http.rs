//! One request of a hook: the document goes to a server, and its answer is what a script would print.
//!
//! Each attempt has a connection of its own, so that none fails because an idle one was closed, and
//! hanging up is dropping. Redirects are not followed: the server that was declared is the one
//! that is told. Connecting, the answer's head and its body all are inside the attempt's deadline.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::rt;
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::{Instant, timeout_at};
use tower_service::Service as _;

use super::kept::{Kept, locked};
use crate::hook;
use crate::run::{Captured, Outcome, Output};

/// By which a server knows a request that it has seen before: the id of the run, the same over all its attempts
/// (`draft-ietf-httpapi-idempotency-key-header`).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Who asks.
const AGENT: &str = concat!("boathook/", env!("CARGO_PKG_VERSION"));

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// Why no whole answer came. The address is not repeated: paths of web hooks are often secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nothing was sent.
    #[error("make a request of what is declared")]
    Request(#[source] hyper::http::Error),
    /// Nothing was sent.
    #[error("read the certificates that this host trusts")]
    Roots(#[source] io::Error),
    /// Nothing was sent.
    #[error("connect to `{server}`")]
    Connect {
        server: String,
        #[source]
        source: Boxed,
    },
    /// It may have been sent.
    #[error("ask `{server}`")]
    Ask {
        server: String,
        #[source]
        source: hyper::Error,
    },
}

/// Whom `https` servers must have their certificates from. Read when the first of them is asked, and
/// kept: what the host trusts is read anew by the next daemon.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots(Arc<OnceLock<HttpsConnector<HttpConnector>>>);

/// What is sent.
pub(super) struct Letter<'a> {
    pub(super) request: &'a hook::Request,
    /// The id of the run.
    pub(super) key: &'a str,
    /// The document.
    pub(super) body: Vec<u8>,
    pub(super) limit: Duration,
    /// How much of the answer is kept, in bytes.
    pub(super) kept_max: usize,
}

/// A request under way. Dropping it hangs up.
pub(super) struct Exchange {
    /// `None` once it is over.
    answer: Option<BoxFuture<'static, Result<u16, HttpError>>>,
    kept: Arc<Mutex<Kept>>,
    begun_at: Instant,
    deadline: Instant,
}

impl Letter<'_> {
    /// Begins to send it. Nothing is done before somebody waits for the answer.
    pub(super) fn send(self, roots: &Roots) -> Result<Exchange, HttpError> {
        let (limit, kept) = (self.limit, Arc::new(Mutex::new(Kept::at_most(self.kept_max))));
        let (uri, request) = self.into_request().map_err(HttpError::Request)?;
        let answer = ask(uri, request, roots.clone(), kept.clone());
        let begun_at = Instant::now();
        Ok(Exchange { answer: Some(Box::pin(answer)), kept, begun_at, deadline: begun_at + limit })
    }

    fn into_request(self) -> Result<(Uri, Request<Full<Bytes>>), hyper::http::Error> {
        let uri: Uri = self.request.url.parse()?;
        let method = match self.request.method {
            hook::Method::Post => Method::POST,
            hook::Method::Put => Method::PUT,
        };
        let target = uri.path_and_query().map_or("/", |it| it.as_str());
        let server = uri.authority().map_or("", |it| it.as_str());
        let mut request = Request::builder().method(method).uri(target).header(HOST, server);
        let ours = [
            (USER_AGENT, AGENT),
            (CONTENT_TYPE, "application/json"),
            (CONNECTION, "close"),
            (IDEMPOTENCY_KEY, self.key),
        ];
        let headers = request.headers_mut();
        if let Some(headers) = headers {
            for (name, value) in ours {
                headers.insert(name, value.parse()?);
            }
            for (name, value) in &self.request.headers {
                headers.insert(name.parse::<HeaderName>()?, value.parse()?);
            }
        }
        Ok((uri, request.body(Full::new(Bytes::from(self.body)))?))
    }
}

impl Exchange {
    /// Waits for the whole answer, at most until the deadline: then `None`, and it is still awaited.
    /// May be dropped and called again.
    pub(super) async fn wait_until_deadline(&mut self) -> Option<Outcome> {
        let Some(answer) = &mut self.answer else { return Some(Outcome::Interrupted) };
        let answer = timeout_at(self.deadline, answer).await.ok()?;
        self.end();
        Some(match answer {
            Ok(status) => Outcome::Answered(status),
            Err(error @ (HttpError::Request(_) | HttpError::Roots(_))) => {
                Outcome::NotStarted(super::told(&error))
            }
            Err(error) => Outcome::Unreachable(super::told(&error)),
        })
    }

    /// How long ago it was begun.
    pub(super) fn took(&self) -> Duration {
        self.begun_at.elapsed()
    }

    /// What has been answered until now.
    pub(super) fn output(&self) -> Output {
        Output { stdout: locked(&self.kept).captured(), stderr: Captured::default() }
    }

    /// Hangs up.
    pub(super) fn end(&mut self) {
        self.answer = None;
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Roots {
    fn connector(&self) -> io::Result<HttpsConnector<HttpConnector>> {
        if let Some(connector) = self.0.get() {
            return Ok(connector.clone());
        }
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().build();
        Ok(self.0.get_or_init(|| connector).clone())
    }
}

/// The status of the answer, once the whole of it is in `kept`.
async fn ask(
    uri: Uri,
    request: Request<Full<Bytes>>,
    roots: Roots,
    kept: Arc<Mutex<Kept>>,
) -> Result<u16, HttpError> {
    let server = uri.authority().map(ToString::to_string).unwrap_or_default();
    let unconnected = |source: Boxed| HttpError::Connect { server: server.clone(), source };
    let answered = if uri.scheme_str() == Some("https") {
        let mut connector = roots.connector().map_err(HttpError::Roots)?;
        let stream = connector.call(uri).await.map_err(unconnected)?;
        converse(stream, request, &kept).await
    } else {
        let stream = HttpConnector::new().call(uri).await.map_err(|it| unconnected(it.into()))?;
        converse(stream, request, &kept).await
    };
    answered.map_err(|source| HttpError::Ask { server, source })
}

/// Sends the request over `stream`, and takes in the answer.
async fn converse(
    stream: impl rt::Read + rt::Write + Unpin,
    request: Request<Full<Bytes>>,
    kept: &Mutex<Kept>,
) -> Result<u16, hyper::Error> {
    let (mut sender, connection) = http1::handshake(stream).await?;
    let answer = async {
        let mut response = sender.send_request(request).await?;
        while let Some(frame) = response.frame().await {
            if let Some(bytes) = frame?.data_ref() {
                locked(kept).push(bytes);
            }
        }
        Ok(response.status().as_u16())
    };
    let (mut answer, mut connection) = (pin!(answer), pin!(connection));
    tokio::select! {
        answered = &mut answer => answered,
        // What it has read is still to be taken in; and if it failed, that is told there as well.
        _ = &mut connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use super::{Letter, hook};
    use std::time::Duration;

    #[test]
    fn a_request_says_who_asks_and_by_which_key() {
        let request = hook::Request {
            url: "https://hooks.example:8443/a?b=c".into(),
            method: hook::Method::Put,
            headers: vec![("X-Token".into(), "secret".into()), ("user-agent".into(), "mine".into())],
        };
        let letter = Letter {
            request: &request,
            key: "06h07",
            body: b"{}".to_vec(),
            limit: Duration::ZERO,
            kept_max: 1,
        };

        let (uri, request) = letter.into_request().expect("it is sound");

        let header = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
        assert_eq!((uri.host(), uri.port_u16()), (Some("hooks.example"), Some(8443)));
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("PUT", "/a?b=c"));
        assert_eq!(header("host"), Some("hooks.example:8443"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("idempotency-key"), Some("06h07"));
        assert_eq!(header("x-token"), Some("secret"));
        assert_eq!(header("user-agent"), Some("mine"));
    }
}
