//! What is under way for an attempt: a process, a request to a server, or a stay in a container.

use std::time::Duration;

use super::broom::Traces;
use super::http::Exchange;
use super::inside::Stay;
use super::process::Process;
use crate::run::{Outcome, Output};

/// An attempt that is under way.
///
/// Dropping it ends it at once: a process with everything that it started in its process group.
#[derive(Debug)]
pub struct Running(Kind);

#[derive(Debug)]
enum Kind {
    Process(Box<Process>),
    Exchange(Exchange),
    Stay(Stay),
}

impl From<Process> for Running {
    fn from(process: Process) -> Running {
        Running(Kind::Process(Box::new(process)))
    }
}

impl From<Exchange> for Running {
    fn from(exchange: Exchange) -> Running {
        Running(Kind::Exchange(exchange))
    }
}

impl From<Stay> for Running {
    fn from(stay: Stay) -> Running {
        Running(Kind::Stay(stay))
    }
}

impl Running {
    /// Waits for its end, and ends it when its deadline comes first.
    pub async fn wait(&mut self) -> Outcome {
        match self.wait_until_deadline().await {
            Some(outcome) => outcome,
            None => {
                self.end(&Outcome::TimedOut).await;
                Outcome::TimedOut
            }
        }
    }

    /// Waits for its end, at most until its deadline: then `None`, and it is still under way. May be
    /// dropped and called again.
    pub async fn wait_until_deadline(&mut self) -> Option<Outcome> {
        match &mut self.0 {
            Kind::Process(process) => process.wait_until_deadline().await,
            Kind::Exchange(exchange) => exchange.wait_until_deadline().await,
            Kind::Stay(stay) => stay.wait_until_deadline().await,
        }
    }

    /// How long ago it was started.
    pub fn took(&self) -> Duration {
        match &self.0 {
            Kind::Process(process) => process.took(),
            Kind::Exchange(exchange) => exchange.took(),
            Kind::Stay(stay) => stay.took(),
        }
    }

    /// What has been written until now.
    pub fn output(&mut self) -> Output {
        match &mut self.0 {
            Kind::Process(process) => process.output(),
            Kind::Exchange(exchange) => exchange.output(),
            Kind::Stay(stay) => stay.output(),
        }
    }

    /// Ends it: processes by SIGTERM, then, when the grace is over, SIGKILL; a request by hanging up. It counts
    /// as `outcome`.
    pub async fn end(&mut self, outcome: &Outcome) {
        match &mut self.0 {
            Kind::Process(process) => process.end(outcome).await,
            Kind::Exchange(exchange) => exchange.end(),
            Kind::Stay(stay) => stay.end().await,
        }
    }

    /// What was written, once it is over, and what has to be kept until that is on disk: should boathook be
    /// killed before, the next one finds it there.
    pub async fn finish(self) -> (Output, Option<Traces>) {
        match self.0 {
            Kind::Process(process) => process.finish().await,
            Kind::Exchange(exchange) => (exchange.output(), None),
            Kind::Stay(stay) => (stay.output(), None),
        }
    }
}
