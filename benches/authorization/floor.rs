//! The floors: what hyper alone takes for the same calls, on a Unix socket in a process of its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixListener;

/// What a floor does with a body before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Reads it and forgets it.
    Constant,
    /// Parses the envelope, and decodes nothing.
    Parse,
}

/// The envelope, borrowed from its text.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    request_method: &'a str,
    request_uri: &'a str,
    request_body: Option<&'a str>,
    #[serde(borrow)]
    request_headers: Option<HashMap<&'a str, &'a str>>,
    response_body: Option<&'a str>,
}

impl Floor {
    /// The floor's name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Floor::Constant => "constant",
            Floor::Parse => "parse",
        }
    }

    /// The floor of that name.
    pub fn from_name(name: &str) -> Option<Floor> {
        [Floor::Constant, Floor::Parse].into_iter().find(|it| it.name() == name)
    }

    /// Serves at `socket` until the process is killed. One thread, one runtime, no timers.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn serve(self, socket: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(async {
            let listener = UnixListener::bind(socket).expect("bind a new socket");
            loop {
                let (stream, _) = listener.accept().await.expect("accept a connection");
                let service = service_fn(move |request| self.answer(request));
                let connection = http1::Builder::new()
                    .auto_date_header(false)
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let activation = request.uri().path() == "/Plugin.Activate";
        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
        if self == Floor::Parse && !activation {
            let envelope: Envelope<'_> = serde_json::from_slice(&body).expect("an envelope");
            std::hint::black_box((
                envelope.request_method,
                envelope.request_uri,
                envelope.request_body,
                envelope.request_headers,
                envelope.response_body,
            ));
        }
        let reply: &'static [u8] =
            if activation { br#"{"Implements":["authz"]}"# } else { br#"{"Allow":true}"# };
        let mut response = Response::new(Full::new(Bytes::from_static(reply)));
        let json = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }
}
