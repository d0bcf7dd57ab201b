//! The host's rules for our networks, kept equal to what is wanted.
//!
//! [`Firewall::apply`] reads the rules that are there, compares them with those for [`Wanted`], and puts
//! what differs in place with one `iptables-restore` and one `ip6tables-restore` call. So it does not
//! matter what was there before: the same call repairs what somebody has flushed, and the last one, with
//! nothing wanted, leaves nothing behind. Which networks there are, and when to call, is the network
//! driver's business; which ports are taken is kept in [`Ports`].
//!
//! The promise: rules of others stay as they are, and all of ours stand in chains called `BOATHOOK-…`.

mod changes;
mod flows;
mod kernel;
mod ports;
mod reservation;
mod rules;
mod saved;
mod wanted;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tracing::{info, warn};

use self::changes::{Unsaid, changes};
use self::kernel::{Setting, forwarding, loopbacks, needs_forwarding};
use self::rules::{Rules, Table};
use self::saved::Saved;
use self::wanted::Family;
use crate::runner::{ErrandError, Runner, Tool};

pub use self::flows::forget;
pub use self::ports::{HostPorts, PortError, PortRequest, Ports};
pub use self::wanted::{
    Bridge, BridgeError, Network, Outside, Protocol, Published, Subnet, SubnetError, Wanted,
};

/// How often rules are read and written before it is an error: somebody may change them in between, so
/// that a place that was counted is another one.
const ATTEMPTS: usize = 3;

/// How long one call may take. It takes 5 ms; others who change rules hold a lock meanwhile, and whoever
/// has ten thousand of them may hold it for seconds.
const LIMIT: Duration = Duration::from_secs(20);

/// The rules of the host that are ours. There is one for the host, and it is asked by one at a time.
#[derive(Debug)]
pub struct Firewall {
    runner: Runner,
    /// The families of which nothing of ours is there, and nobody has to look.
    clean: Vec<Family>,
}

/// Why the rules are not what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The present rules cannot be read: the tool is missing, or has no rights.
    #[error("read the host's rules")]
    Read(#[source] ErrandError),
    /// The rules were refused, all of them: those from before are still there.
    #[error("write the host's rules")]
    Write(#[source] ErrandError),
    /// The kernel was not told; the rules are in place.
    #[error("set `{}`", .path.display())]
    Set {
        /// The setting, below `/proc/sys`.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

impl Firewall {
    /// The firewall of this host, untouched.
    pub fn new(runner: Runner) -> Firewall {
        Firewall { runner, clean: Vec::new() }
    }

    /// Makes the host's rules equal to `wanted`.
    ///
    /// Repeating it changes nothing. If the future is dropped, rules of one family may be new and those
    /// of the other old.
    ///
    /// # Errors
    ///
    /// The first; what could be done has been done. To be called again.
    pub async fn apply(&mut self, wanted: &Wanted) -> Result<(), FirewallError> {
        let mut first = Ok(());
        for family in Family::ALL {
            first = first.and(self.apply_one(wanted, family).await);
        }
        // Once the rules say that what comes from elsewhere stays outside.
        let loopbacks = if first.is_ok() { loopbacks(wanted) } else { Vec::new() };
        for setting in loopbacks {
            first = first.and(set_if_there(&setting));
        }
        first
    }

    /// As [`Firewall::apply`], where others may have put back rules of ours that were removed: when the
    /// engine has started or reloaded.
    ///
    /// # Errors
    ///
    /// As [`Firewall::apply`].
    pub async fn repair(&mut self, wanted: &Wanted) -> Result<(), FirewallError> {
        self.clean.clear();
        self.apply(wanted).await
    }

    async fn apply_one(&mut self, wanted: &Wanted, family: Family) -> Result<(), FirewallError> {
        let is_wanted = wanted.networks.iter().any(|it| it.has(family));
        if !is_wanted && self.clean.contains(&family) {
            return Ok(());
        }
        self.clean.retain(|it| *it != family);
        match self.write(wanted, family).await {
            // A host without IPv6, say, which nobody wants here.
            Err(FirewallError::Read(error)) if !is_wanted => info!(%error, ?family, "no rules to look at"),
            done => done?,
        }
        if !is_wanted {
            self.clean.push(family);
        }
        Ok(())
    }

    /// Brings the rules of one family up to date, then has the host forward if it has to.
    async fn write(&self, wanted: &Wanted, family: Family) -> Result<(), FirewallError> {
        let off = if needs_forwarding(wanted, family) { switched_off(family)? } else { None };
        // A host that begins to forward for us does not begin to forward for everybody. dockerd does the
        // same, but not where it finds that forwarding has been switched on already.
        let unsaid = if off.is_some() { Unsaid::Dropped } else { Unsaid::AsBefore };
        self.write_rules(wanted, family, unsaid).await?;
        let Some(forwarding) = off else { return Ok(()) };
        info!(setting = %forwarding.path.display(), "switching on what our networks need");
        forwarding.set().map_err(|source| not_set(&forwarding, source))
    }

    async fn write_rules(
        &self,
        wanted: &Wanted,
        family: Family,
        unsaid: Unsaid,
    ) -> Result<(), FirewallError> {
        let (save, restore) = programs(family);
        let mut attempt = 1;
        loop {
            let text = self.tool(&[save], "").await.map_err(FirewallError::Read)?;
            let saved = Saved::read(&String::from_utf8_lossy(&text));
            let rules = Rules::new(wanted, family, &saved.names(Table::Filter));
            let Some(text) = changes(&rules, &saved, unsaid) else { return Ok(()) };
            match self.tool(&[restore, "--noflush", "--wait"], &text).await {
                Ok(_) => return Ok(()),
                Err(error) if attempt < ATTEMPTS => {
                    warn!(%error, attempt, "rules were refused, will try again");
                }
                Err(error) => return Err(FirewallError::Write(error)),
            }
            attempt += 1;
        }
    }

    async fn tool(&self, argv: &[&str], input: &str) -> Result<Vec<u8>, ErrandError> {
        self.runner.tool(Tool { argv, input: input.as_bytes(), limit: LIMIT }).await
    }
}

/// What reads and what writes the rules: the same as dockerd's, which asks for `iptables` on its path.
fn programs(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::V4 => ("iptables-save", "iptables-restore"),
        Family::V6 => ("ip6tables-save", "ip6tables-restore"),
    }
}

/// The switch for forwarding, if it is off.
fn switched_off(family: Family) -> Result<Option<Setting>, FirewallError> {
    let setting = forwarding(family);
    match setting.holds() {
        Ok(holds) => Ok((!holds).then_some(setting)),
        Err(source) => Err(not_set(&setting, source)),
    }
}

/// A bridge that is not there yet, or any more, has no settings.
fn set_if_there(setting: &Setting) -> Result<(), FirewallError> {
    match setting.set() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| not_set(setting, source)),
    }
}

fn not_set(setting: &Setting, source: io::Error) -> FirewallError {
    FirewallError::Set { path: setting.path.clone(), source }
}
