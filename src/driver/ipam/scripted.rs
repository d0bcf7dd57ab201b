//! Pools that a script of the operator's answers for.
//!
//! The script is given what the engine asks, and what it answers is held against what is known: an address
//! is in its pool, and nobody else's. That, and what is on disk, stays here; a script that is asked for what
//! is held already would not know more.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::IpamError;
use super::pools::PoolId;
use super::subnet::Subnet;
use crate::driver::script::Scripts;

/// A script, and the pool that it is asked about.
pub(super) struct Scripted<'a> {
    pub(super) scripts: &'a Scripts,
    /// Its name.
    pub(super) script: String,
    /// What it calls the pool.
    pub(super) id: Option<String>,
}

/// The reply to a request for a pool.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PoolReply {
    #[serde(rename = "PoolID", default)]
    id: Option<String>,
    pool: IpNet,
}

/// The reply to a request for an address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AddressReply {
    address: IpNet,
}

impl Scripted<'_> {
    /// The subnet, and how the script calls it. It is the one that was asked for, if one was.
    pub(super) async fn request_pool(
        &self,
        request: &[u8],
        asked: Option<IpNet>,
    ) -> Result<(IpNet, Option<String>), IpamError> {
        let reply: PoolReply = self.call("RequestPool", request).await?;
        let subnet = Subnet::of(reply.pool);
        if asked.is_some_and(|it| Subnet::of(it) != subnet) {
            return Err(self.wrong(format!("pool {}, which was not asked for", reply.pool)));
        }
        Ok((subnet.net(), reply.id.filter(|it| !it.is_empty())))
    }

    /// The address. It is the one that was asked for, if one was.
    pub(super) async fn request_address(
        &self,
        request: &[u8],
        subnet: Subnet,
        asked: Option<IpAddr>,
    ) -> Result<IpAddr, IpamError> {
        let reply: AddressReply = self.call("RequestAddress", request).await?;
        check_address(reply.address, subnet, asked).map_err(|what| self.wrong(what))?;
        Ok(reply.address.addr())
    }

    pub(super) async fn release_address(&self, request: &[u8]) -> Result<(), IpamError> {
        self.call::<Value>("ReleaseAddress", request).await.map(drop)
    }

    pub(super) async fn release_pool(&self, request: &[u8]) -> Result<(), IpamError> {
        self.call::<Value>("ReleasePool", request).await.map(drop)
    }

    /// Takes an answer of the script's back that came to nothing.
    pub(super) async fn release_address_quietly(&self, id: &PoolId, address: IpAddr) {
        let request = json!({"PoolID": &**id, "Address": address}).to_string();
        if let Err(error) = self.release_address(request.as_bytes()).await {
            warn!(%address, %error, "a script has not taken back an address that nobody got");
        }
    }

    /// Takes an answer of the script's back that came to nothing.
    pub(super) async fn release_pool_quietly(&self, id: &PoolId) {
        let request = json!({"PoolID": &**id}).to_string();
        if let Err(error) = self.release_pool(request.as_bytes()).await {
            warn!(%error, "a script has not taken back a pool that no network got");
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, request: &[u8]) -> Result<T, IpamError> {
        let reply =
            self.scripts.call(&self.script, &format!("IpamDriver.{method}"), &self.told(request)).await;
        let reply = reply.map_err(|error| IpamError::Script { error })?;
        serde_json::from_value(reply)
            .map_err(|error| self.wrong(format!("what is no reply to {method}: {error}")))
    }

    /// What the script is asked: as the engine asks, with the pool as the script calls it.
    fn told(&self, request: &[u8]) -> Vec<u8> {
        let mut asked: Map<String, Value> = serde_json::from_slice(request).unwrap_or_default();
        if let (Some(id), true) = (&self.id, asked.contains_key("PoolID")) {
            asked.insert("PoolID".into(), Value::String(id.clone()));
        }
        Value::Object(asked).to_string().into_bytes()
    }

    fn wrong(&self, what: String) -> IpamError {
        IpamError::Answer { script: self.script.clone(), what }
    }
}

/// What is wrong with an address, if anything is.
fn check_address(answer: IpNet, subnet: Subnet, asked: Option<IpAddr>) -> Result<(), String> {
    if subnet.number(answer.addr()).is_none() || answer.prefix_len() != subnet.net().prefix_len() {
        return Err(format!("address {answer}, which is not one of {}", subnet.net()));
    }
    match asked {
        Some(asked) if asked != answer.addr() => Err(format!("address {answer} for {asked}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::{Subnet, check_address};

    fn net(text: &str) -> IpNet {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_one_of_the_pool_and_the_one_that_was_asked_for() {
        let subnet = Subnet::of(net("10.0.0.0/24"));
        let asked = Some([10, 0, 0, 9].into());

        assert_eq!(check_address(net("10.0.0.9/24"), subnet, asked), Ok(()));
        assert_eq!(check_address(net("10.0.0.9/24"), subnet, None), Ok(()));
        for (answer, asked, wrong) in [
            ("10.0.0.9/32", None, "address 10.0.0.9/32, which is not one of 10.0.0.0/24"),
            ("10.0.1.9/24", None, "address 10.0.1.9/24, which is not one of 10.0.0.0/24"),
            ("10.0.0.8/24", asked, "address 10.0.0.8/24 for 10.0.0.9"),
        ] {
            assert_eq!(check_address(net(answer), subnet, asked), Err(wrong.to_owned()));
        }
    }
}
