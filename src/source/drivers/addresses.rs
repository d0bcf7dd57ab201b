//! `address.request` and `address.release`: around the address driver.
//!
//! A hook is asked once it is known which address it would be; one that is denied is given back at once.
//! Neither auxiliary addresses nor those that an engine asks for again when it starts reach a point: nobody is
//! given them.

use std::net::IpAddr;
use std::sync::Arc;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::ipam::{
    AddressSpaces, AllottedAddress, Capabilities, IpamDriver, Pool, PoolId, ReleaseAddress, ReleasePool,
    RequestAddress, RequestPool,
};
use jiff::Timestamp;
use serde_json::json;
use tracing::warn;

use super::super::looks::{Notice, Wants};
use super::{Points, answer};
use crate::lifecycle::{
    AddressDetail, Detail, Facts, Point, Question, Saw, Signal, Source, Subject, SubjectKind, Verdict,
};

/// An address driver whose calls become points. All clones are the same.
#[derive(Clone)]
pub struct Addresses<D> {
    driver: D,
    points: Points,
}

impl<D: IpamDriver> Addresses<D> {
    /// The points around `driver`.
    pub fn new(driver: D, points: Points) -> Addresses<D> {
        Addresses { driver, points }
    }

    /// Asks whether an address may be given away.
    async fn ask(&self, ip: IpAddr, detail: AddressDetail) -> Verdict {
        let engine = &self.points.engine;
        if !engine.points().contains(Point::AddressRequest) {
            return Verdict::Allow;
        }
        let Some(subject) = self.subject(ip) else {
            return engine.undecided(Point::AddressRequest, "it is not known which engine this is");
        };
        // A gateway is asked for when a network is made: that holds no container.
        let _hold = (detail.gateway == Some(false)).then(|| self.points.held.hold_somebody());
        let question = Question {
            point: Point::AddressRequest,
            subject,
            facts: Arc::new(facts(ip)),
            observation: None,
            detail: Some(Arc::new(Detail { address: Some(detail), ..Detail::default() })),
            request: None,
            withheld: None,
            call: None,
            at: Timestamp::now(),
        };
        engine.ask(question).await
    }

    /// Tells that an address is free again.
    fn released(&self, pool: &PoolId, ip: IpAddr) {
        let Some(subject) = self.subject(ip) else { return };
        let saw = Saw::Reached(Point::AddressRelease);
        let mut signal = Signal::new(subject, Source::Authorization, Timestamp::now(), saw);
        let detail = AddressDetail {
            ip: Some(ip.to_string()),
            pool: Some(pool.to_string()),
            ..AddressDetail::default()
        };
        signal.told = Some(Box::new(facts(ip)));
        signal.detail = Some(Arc::new(Detail { address: Some(detail), ..Detail::default() }));
        if self.points.looks.submit(Notice { signal, wants: Wants::Nothing }).is_err() {
            warn!(%ip, "not told that an address is free: too much to take in");
        }
    }

    fn subject(&self, ip: IpAddr) -> Option<Subject> {
        let engine = self.points.docker.known_engine_id()?;
        Some(Subject::new(&engine, SubjectKind::Address, &ip.to_string()))
    }

    /// Gives back what was denied.
    async fn give_back(&self, pool: &PoolId, ip: IpAddr) {
        let body = json!({"PoolID": pool.as_str(), "Address": ip}).to_string();
        let given_back = match Request::parse(body) {
            Ok(request) => self.driver.release_address(request).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = given_back {
            warn!(%ip, %error, "an address that was denied could not be given back");
        }
    }
}

/// An address is called what it is.
fn facts(ip: IpAddr) -> Facts {
    Facts { name: Some(ip.to_string()), ..Facts::default() }
}

impl<D: IpamDriver> IpamDriver for Addresses<D> {
    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn address_spaces(&self) -> AddressSpaces {
        self.driver.address_spaces()
    }

    async fn request_pool(&self, request: Request<RequestPool>) -> Result<Pool, DriverError> {
        self.driver.request_pool(request).await
    }

    async fn release_pool(&self, request: Request<ReleasePool>) -> Result<(), DriverError> {
        self.driver.release_pool(request).await
    }

    async fn request_address(
        &self,
        request: Request<RequestAddress>,
    ) -> Result<AllottedAddress, DriverError> {
        let asked = (!request.options.is_empty()).then(|| request.clone().into_arguments());
        let allotted = self.driver.request_address(request).await?;
        let Some(asked) = asked else { return Ok(allotted) };
        let ip = allotted.address.addr();
        let detail = AddressDetail {
            ip: Some(allotted.address.to_string()),
            pool: Some(asked.pool_id.to_string()),
            gateway: Some(asked.is_gateway()),
            mac: asked.mac_address().ok().flatten().map(|it| it.to_string()),
        };
        let verdict = self.ask(ip, detail).await;
        if verdict != Verdict::Allow {
            self.give_back(&asked.pool_id, ip).await;
        }
        answer(&verdict).map(|()| allotted)
    }

    async fn release_address(&self, request: Request<ReleaseAddress>) -> Result<(), DriverError> {
        let (pool, ip) = (request.pool_id.clone(), request.address);
        let answer = self.driver.release_address(request).await;
        self.released(&pool, ip);
        answer
    }
}
