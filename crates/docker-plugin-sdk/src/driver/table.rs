//! From a driver's methods to the table that the server knows.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use tracing::debug;

use super::{Arguments, DriverError, Request};
use crate::method::{Call, Method, Reply};

/// Makes the methods of one driver.
pub(crate) struct Table<D> {
    pub(crate) driver: Arc<D>,
    /// The shape of an error, in which the kinds differ.
    pub(crate) error: fn(&str) -> Bytes,
}

impl<D: Send + Sync + 'static> Table<D> {
    /// The method with these arguments. `call` makes the object that is the reply.
    pub(crate) fn method<T, R, F>(&self, call: fn(Arc<D>, Request<T>) -> F) -> Method
    where
        T: Arguments,
        R: Serialize,
        F: Future<Output = Result<R, DriverError>> + Send + 'static,
    {
        let (driver, error) = (Arc::clone(&self.driver), self.error);
        let start = move |body: Bytes| -> Call {
            let driver = Arc::clone(&driver);
            Box::pin(async move {
                match Request::parse(body) {
                    Ok(request) => reply(call(driver, request).await, error),
                    Err(wrong) => {
                        debug!(path = T::PATH, error = &wrong as &dyn Error, "driver call refused");
                        Reply::failed(StatusCode::BAD_REQUEST, error(&wrong.to_string()))
                    }
                }
            })
        };
        Method { path: T::PATH, start: Box::new(start), error: self.error }
    }

    /// A method without arguments, whatever its body is: `{}`, or nothing.
    pub(crate) fn bare_method<R, F>(&self, path: &'static str, call: fn(Arc<D>) -> F) -> Method
    where
        R: Serialize,
        F: Future<Output = Result<R, DriverError>> + Send + 'static,
    {
        let (driver, error) = (Arc::clone(&self.driver), self.error);
        let start = move |_: Bytes| -> Call {
            let call = call(Arc::clone(&driver));
            Box::pin(async move { reply(call.await, error) })
        };
        Method { path, start: Box::new(start), error: self.error }
    }
}

/// A method that answers the same at all times, without asking the driver.
pub(crate) fn constant(path: &'static str, answer: Bytes, error: fn(&str) -> Bytes) -> Method {
    let start = move |_: Bytes| -> Call { Box::pin(std::future::ready(Reply::ok(answer.clone()))) };
    Method { path, start: Box::new(start), error }
}

/// The reply of a method that says no more than that it was done.
#[derive(Serialize)]
pub(crate) struct Done {}

/// The reply to a method that returns nothing.
pub(crate) fn done((): ()) -> Done {
    Done {}
}

/// The reply of a driver. Its refusals are successes to HTTP: that is how the engine tells them from faults.
fn reply(result: Result<impl Serialize, DriverError>, error: fn(&str) -> Bytes) -> Reply {
    let body = result.and_then(|it| Ok(serde_json::to_vec(&it)?));
    match body {
        Ok(body) => Reply::ok(body.into()),
        Err(refused) => Reply::ok(error(refused.message())),
    }
}
