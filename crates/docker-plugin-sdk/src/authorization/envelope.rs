//! What an authorization call says of the API call it is about.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{EncodedBody, Headers, PeerCertificates, Text};

/// An API call that the engine has not acted on yet.
///
/// Borrowed from the body of the plugin call, which can be large: nothing in it is copied or decoded before
/// it is asked for. There is no id that ties a request to its response, and no process id or user id of the
/// client.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `RequestMethod`: `GET`, `POST` and so on, as the client sent it. Never empty.
    pub method: Cow<'a, str>,
    /// `RequestUri`: the request target as the client sent it. Never empty.
    ///
    /// Not normalised: with the API version or without, with the query, percent-encoded, even with
    /// `http://host` in front. The engine decodes it before it looks for a route, so
    /// `/v1.41%2fcontainers/x/start` starts a container.
    pub uri: Cow<'a, str>,
    /// `RequestBody`, if the engine shows it.
    ///
    /// It does for JSON only, and not for `/auth`. Engines before 29.3.1 do not show 1 MiB or more and act on
    /// it all the same; older ones hid chunked bodies as well (CVE-2024-41110, CVE-2026-34040). Parameters in
    /// a form body are never shown and take precedence over the query. So for a call that needs a body, a
    /// missing one is a reason to deny.
    ///
    /// The engine's own JSON decoder ignores the case of keys, and the last of several equal keys wins.
    pub body: Option<EncodedBody<'a>>,
    /// `RequestHeaders`, without `Authorization`, `X-Registry-Auth`, `X-Registry-Config` and `Host`.
    ///
    /// The last value of a repeated header. A header that a client adds, for example by `HttpHeaders` in the
    /// CLI's configuration, is there, too. A chunked request shows neither `Content-Length` nor
    /// `Transfer-Encoding`.
    pub headers: Headers<'a>,
    /// `User`: the common name of the client's certificate. Empty without TLS, so always on the engine's Unix
    /// socket.
    pub user: Cow<'a, str>,
    /// `UserAuthNMethod`: `TLS`, or empty.
    pub user_authn_method: Cow<'a, str>,
    /// `RequestPeerCertificates`: the client's certificate and its chain, as it sent them.
    pub peer_certificates: PeerCertificates<'a>,
}

/// An API call that the engine has acted on, and what it is about to answer.
///
/// Not every request has one: none does if a plugin denied it, and `GET /events` has one when its client
/// leaves.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// The call, as the plugin was asked about it before.
    pub request: Request<'a>,
    /// `ResponseStatusCode`, if the engine had set it explicitly.
    ///
    /// **An absent status does not mean success.** It is absent for every error (they are written later), for
    /// streams, and for some successes without a body. 200, 201 or 204 mean success.
    pub status: Option<u16>,
    /// `ResponseBody`, for `application/json` only. Absent, like status and headers, above 64 KiB.
    pub body: Option<EncodedBody<'a>>,
    /// `ResponseHeaders`. Often none.
    pub headers: Headers<'a>,
}

/// Why a body says nothing that could be decided on.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("the body of the call is empty: an earlier attempt was cut off, try again")]
    Empty,
    // Neither text repeats anything of the body, which may hold secrets.
    #[error("the body of the call is not JSON, at line {} column {}", .0.line(), .0.column())]
    NotJson(#[source] serde_json::Error),
    #[error("a field of the call has the wrong type, at line {} column {}", .0.line(), .0.column())]
    WrongType(#[source] serde_json::Error),
    #[error("the call names no request method and target")]
    NoRequest,
}

/// Both phases: a response call is a request call with more fields.
pub(super) struct Envelope<'a> {
    pub(super) request: Request<'a>,
    status: Option<u16>,
    body: Option<EncodedBody<'a>>,
    headers: Headers<'a>,
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Envelope<'a>, EnvelopeError> {
        if body.is_empty() {
            return Err(EnvelopeError::Empty);
        }
        let wire: Wire<'a> = serde_json::from_slice(body).map_err(|error| {
            if error.is_data() { EnvelopeError::WrongType(error) } else { EnvelopeError::NotJson(error) }
        })?;
        let request = Request {
            method: wire.method.map(Text::into_cow).unwrap_or_default(),
            uri: wire.uri.map(Text::into_cow).unwrap_or_default(),
            body: EncodedBody::of(wire.body),
            headers: wire.headers,
            user: wire.user.map(Text::into_cow).unwrap_or_default(),
            user_authn_method: wire.user_authn_method.map(Text::into_cow).unwrap_or_default(),
            peer_certificates: PeerCertificates::of(wire.peer_certificates)
                .map_err(EnvelopeError::WrongType)?,
        };
        if request.method.is_empty() || request.uri.is_empty() {
            return Err(EnvelopeError::NoRequest);
        }
        Ok(Envelope {
            request,
            // The engine leaves a zero out.
            status: wire.response_status.filter(|it| *it != 0),
            body: EncodedBody::of(wire.response_body),
            headers: wire.response_headers,
        })
    }

    pub(super) fn into_response(self) -> Response<'a> {
        Response { request: self.request, status: self.status, body: self.body, headers: self.headers }
    }
}

/// The object on the wire (`Request` in moby, `pkg/authorization/api.go`). All fields are left out when
/// empty, and unknown ones are ignored: engines add some.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "RequestMethod", borrow)]
    method: Option<Text<'a>>,
    #[serde(rename = "RequestUri", borrow)]
    uri: Option<Text<'a>>,
    #[serde(rename = "RequestBody", borrow)]
    body: Option<Text<'a>>,
    #[serde(rename = "RequestHeaders", borrow, default)]
    headers: Headers<'a>,
    #[serde(rename = "User", borrow)]
    user: Option<Text<'a>>,
    #[serde(rename = "UserAuthNMethod", borrow)]
    user_authn_method: Option<Text<'a>>,
    #[serde(rename = "RequestPeerCertificates", borrow)]
    peer_certificates: Option<&'a RawValue>,
    #[serde(rename = "ResponseStatusCode")]
    response_status: Option<u16>,
    #[serde(rename = "ResponseBody", borrow)]
    response_body: Option<Text<'a>>,
    #[serde(rename = "ResponseHeaders", borrow, default)]
    response_headers: Headers<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Envelope<'_>, EnvelopeError> {
        Envelope::parse(body.as_bytes())
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"RequestMethod":"GET","RequestUri":"/_ping"{fields}}}"#)
    }

    #[test]
    fn absent_fields_are_empty() {
        let body = with("");
        let response = parse(&body).expect("method and target are enough").into_response();

        assert_eq!((&*response.request.method, &*response.request.uri), ("GET", "/_ping"));
        assert!(response.request.body.is_none() && response.request.user.is_empty());
        assert_eq!(response.request.headers.get("host"), None);
        assert_eq!(response.request.peer_certificates.iter().count(), 0);
        assert_eq!((response.status, response.body.is_none()), (None, true));
    }

    #[test]
    fn a_client_with_a_certificate_is_known_by_its_name() {
        let fields =
            r#","User":"alice","UserAuthNMethod":"TLS","RequestPeerCertificates":["LS0tLS1CRUdJTg=="]"#;
        let body = with(fields);
        let request = parse(&body).expect("a request").request;

        assert_eq!((&*request.user, &*request.user_authn_method), ("alice", "TLS"));
        let certificates: Vec<_> = request.peer_certificates.iter().collect();
        assert_eq!(certificates[0].pem().expect("text in base64"), "-----BEGIN");
    }

    #[test]
    fn null_is_absent() {
        let body = with(
            r#","User":null,"RequestBody":null,"RequestHeaders":null,"RequestPeerCertificates":null,
            "ResponseStatusCode":null,"ResponseHeaders":null"#,
        );
        let response = parse(&body).expect("null is what Go writes for nothing").into_response();

        assert!(response.request.body.is_none() && response.request.user.is_empty());
        assert_eq!(response.request.headers.iter().count(), 0);
        assert_eq!(response.status, None);
    }

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_not() {
        let body = r#"{"RequestMethod":"GET","RequestUri":"/info?a=1\u0026b=2","Unknown":[{}]}"#;
        let request = parse(body).expect("a request").request;

        assert!(matches!(request.method, Cow::Borrowed("GET")));
        assert!(matches!(request.uri, Cow::Owned(ref it) if it == "/info?a=1&b=2"));
    }

    #[test]
    fn an_empty_body_is_not_a_request() {
        assert!(matches!(parse(""), Err(EnvelopeError::Empty)));
        assert!(matches!(parse("{}"), Err(EnvelopeError::NoRequest)));
        assert!(matches!(parse(r#"{"RequestMethod":"GET"}"#), Err(EnvelopeError::NoRequest)));
        assert!(matches!(parse("POST"), Err(EnvelopeError::NotJson(_))));
        assert!(matches!(parse(r#"{"RequestMethod":"#), Err(EnvelopeError::NotJson(_))));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_told_without_its_value() {
        for field in [
            r#","User":5"#,
            r#","RequestBody":{}"#,
            r#","RequestHeaders":["secret"]"#,
            r#","RequestHeaders":{"A":["secret"]}"#,
            r#","RequestPeerCertificates":"secret""#,
            r#","RequestPeerCertificates":[1]"#,
            r#","ResponseStatusCode":"secret""#,
            r#","ResponseStatusCode":70000"#,
            r#","ResponseHeaders":{"A":null}"#,
        ] {
            let body = with(field);
            let wrong = parse(&body).err().expect(field);
            assert!(matches!(wrong, EnvelopeError::WrongType(_)), "{field}: {wrong:?}");
            assert!(!wrong.to_string().contains("secret"), "{field}");
        }
    }
}
