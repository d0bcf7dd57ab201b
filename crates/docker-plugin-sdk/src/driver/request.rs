//! A request as a driver gets it.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::DeserializeOwned;

/// The arguments of one method of a driver.
///
/// Implemented by the types of this crate, one for each method that has a request.
pub trait Arguments: DeserializeOwned + Send + 'static + sealed::Sealed {
    /// Where the method is called: `/NetworkDriver.Join`.
    const PATH: &'static str;
}

pub(crate) mod sealed {
    /// Methods are the engine's to invent.
    pub trait Sealed {}
}

/// Says at which path a method is called whose arguments these are.
macro_rules! arguments {
    ($($type:ident: $path:literal),+ $(,)?) => {
        $(
            impl $crate::driver::request::sealed::Sealed for $type {}

            impl $crate::driver::Arguments for $type {
                const PATH: &'static str = $path;
            }
        )+
    };
}
pub(crate) use arguments;

/// A request: its arguments, and the JSON that they were read from.
///
/// The arguments are reached by dereference: `request.network_id`.
#[derive(Clone)]
pub struct Request<T> {
    arguments: T,
    raw: Bytes,
}

/// Why a body is no request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is none. The engine repeats a call that was cut off after its body was sent without it
    /// (`callWithRetry` in moby, `pkg/plugins/client.go`).
    #[error("the body of the call is empty: an earlier attempt was cut off, try again")]
    Empty,
    /// The body is not a JSON object.
    #[error("the body of the call is not a JSON object")]
    NotAnObject,
    // The text repeats nothing of the body, which may hold secrets.
    /// The body is not JSON.
    #[error("the body of the call is not JSON, at line {} column {}", .0.line(), .0.column())]
    NotJson(#[source] serde_json::Error),
    /// A field is missing, or has another type than it should.
    #[error("a field of the call is missing or wrong, before line {} column {}", .0.line(), .0.column())]
    WrongField(#[source] serde_json::Error),
}

impl<T: Arguments> Request<T> {
    /// The request that this body is.
    ///
    /// The server does this for each call; a driver's tests can do so as well.
    ///
    /// # Errors
    ///
    /// When the body is empty or not what the engine writes for this method. Unknown keys are ignored.
    pub fn parse(body: impl Into<Bytes>) -> Result<Request<T>, RequestError> {
        let raw = body.into();
        match raw.trim_ascii_start().first() {
            None => return Err(RequestError::Empty),
            Some(b'{') => {}
            Some(_) => return Err(RequestError::NotAnObject),
        }
        let arguments = serde_json::from_slice(&raw).map_err(|error| {
            if error.is_data() { RequestError::WrongField(error) } else { RequestError::NotJson(error) }
        })?;
        Ok(Request { arguments, raw })
    }

    /// The path of the method that was called: `/NetworkDriver.Join`.
    pub fn path(&self) -> &'static str {
        T::PATH
    }
}

impl<T> Request<T> {
    /// The body as it came: a JSON object, with every key that the engine wrote.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The arguments alone.
    pub fn into_arguments(self) -> T {
        self.arguments
    }

    /// The same body, read as the arguments of another method.
    pub(crate) fn map<U>(self, read: impl FnOnce(T) -> U) -> Request<U> {
        Request { arguments: read(self.arguments), raw: self.raw }
    }
}

impl<T> Deref for Request<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.arguments
    }
}

/// Without the body, which may hold secrets.
impl<T: fmt::Debug> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arguments.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::DeleteNetwork;

    fn parse(body: &'static str) -> Result<Request<DeleteNetwork>, RequestError> {
        Request::parse(body)
    }

    #[test]
    fn unknown_keys_are_ignored_and_kept() {
        let body = r#"{"NetworkID":"ab","Later":[1]}"#;
        let request = parse(body).expect("a request");
        assert_eq!((request.network_id.as_str(), request.path()), ("ab", "/NetworkDriver.DeleteNetwork"));
        assert_eq!(request.raw(), body);
    }

    #[test]
    fn what_is_no_request_is_refused_without_being_repeated() {
        assert!(matches!(parse(""), Err(RequestError::Empty)));
        assert!(matches!(parse(" \n"), Err(RequestError::Empty)));
        for body in ["null", r#"["secret"]"#, "secret", "7"] {
            assert!(matches!(parse(body), Err(RequestError::NotAnObject)), "{body}");
        }
        assert!(matches!(parse(r#"{"NetworkID":"#), Err(RequestError::NotJson(_))));
        for body in ["{}", r#"{"NetworkID":5}"#, r#"{"NetworkID":""}"#, r#"{"NetworkID":"../secret"}"#] {
            let wrong = parse(body).expect_err(body);
            assert!(matches!(wrong, RequestError::WrongField(_)), "{body}: {wrong}");
            assert!(!wrong.to_string().contains("secret"), "{body}");
        }
    }
}
