//! The answer to an authorization call, and what the docker user sees of it.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;

use crate::method::{Reply, to_json};

/// The answer to an authorization call.
///
/// | decision | the engine answers its client | the docker command prints, after `Error response from daemon:` |
/// |---|---|---|
/// | `Allow` | as it would without the plugin | |
/// | `Deny` | 403 | `authorization denied by plugin NAME: MESSAGE` |
/// | `Fail` | 500 | `plugin NAME failed with error: AuthZPlugin.AuthZReq: ERROR` |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The call goes on, to the next plugin or to the engine.
    Allow,
    /// The call is forbidden. Nothing is executed, and no other plugin is asked.
    Deny {
        /// Why, for the docker user. Shown as it is, over several lines if it has them; empty, it leaves the
        /// user without a reason.
        message: String,
    },
    /// The plugin could not decide. Nothing is executed either; the difference is whom the docker user asks
    /// for help.
    ///
    /// Sent with status 500, since the engine ignores an error in a reply with status 200.
    Fail {
        /// What went wrong, for the docker user.
        error: String,
    },
}

impl Decision {
    /// A denial with this message.
    pub fn deny(message: impl Into<String>) -> Decision {
        Decision::Deny { message: message.into() }
    }

    /// A failure with this error.
    pub fn fail(error: impl Into<String>) -> Decision {
        Decision::Fail { error: error.into() }
    }

    pub(super) fn into_reply(self) -> Reply {
        match self {
            Decision::Allow => Reply::ok(Bytes::from_static(br#"{"Allow":true}"#)),
            Decision::Deny { message } => Reply::ok(to_json(&Denial { allow: false, msg: &message })),
            Decision::Fail { error: text } => Reply::failed(StatusCode::INTERNAL_SERVER_ERROR, error(&text)),
        }
    }
}

/// The body of a reply that is not 200. `Allow` is there for whoever reads the body alone.
pub(super) fn error(text: &str) -> Bytes {
    to_json(&Failure { allow: false, err: text })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Denial<'a> {
    allow: bool,
    msg: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure<'a> {
    allow: bool,
    err: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allow_and_deny_are_successes() {
        let allow = Decision::Allow.into_reply();
        assert_eq!((allow.status.as_u16(), &*allow.body), (200, &br#"{"Allow":true}"#[..]));

        let deny = Decision::deny("no \"root\"").into_reply();
        assert_eq!(deny.status, 200);
        assert_eq!(deny.body, r#"{"Allow":false,"Msg":"no \"root\""}"#);

        let fail = Decision::fail("the journal is gone").into_reply();
        assert_eq!(fail.status, 500);
        assert_eq!(fail.body, r#"{"Allow":false,"Err":"the journal is gone"}"#);
    }
}
