//! What the played engine tells of a container.

use std::time::{SystemTime, UNIX_EPOCH};

/// A container that runs, on the bridge.
const INSPECT: &str = include_str!("inspect.json");

/// The time of an event that happens now, as `timeNano` counts it.
///
/// # Panics
///
/// When the clock is off by centuries.
pub fn nanoseconds_now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since_epoch.as_nanos()).expect("a clock before 2262")
}

/// A container, as far as its events tell.
#[derive(Clone, Debug)]
pub struct Container<'a> {
    /// The full id.
    pub id: &'a str,
    /// The name without a slash.
    pub name: &'a str,
}

impl Container<'_> {
    /// An id of a container as engines give them, the same for the same number.
    pub fn id_of(number: usize) -> String {
        format!("{:016x}{number:048x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// One line of the event stream (without its end), as engine 20.10 writes it.
    pub(super) fn event(&self, action: &str, time_nano: i64) -> String {
        let exit_code = if action == "die" { r#""exitCode":"0","# } else { "" };
        let Container { id, name } = self;
        format!(
            r#"{{"status":"{action}","id":"{id}","from":"busybox:test","Type":"container","Action":"{action}","#
        ) + &format!(
            r#""Actor":{{"ID":"{id}","Attributes":{{{exit_code}"com.docker.compose.project":"shop","#
        ) + &format!(r#""com.docker.compose.service":"web","image":"busybox:test","name":"{name}"}}}},"#)
            + &format!(
                r#""scope":"local","time":{},"timeNano":{time_nano}}}"#,
                time_nano.div_euclid(1_000_000_000)
            )
    }

    /// Its place in a list of containers: that it runs.
    pub(super) fn listed(&self) -> String {
        let Container { id, name } = self;
        format!(
            r#"{{"Id":"{id}","Names":["/{name}"],"Image":"busybox:test","ImageID":"sha256:{id}","Command":"sleep","#
        ) + r#""Created":1795343347,"Ports":[],"Labels":{"com.docker.compose.project":"shop"},"State":"running","#
            + r#""Status":"Up 3 days","HostConfig":{"NetworkMode":"default"},"NetworkSettings":{"Networks":{}},"#
            + r#""Mounts":[]}"#
    }

    /// What an inspect of it says: that it runs.
    pub fn inspect(&self) -> String {
        INSPECT.replace("@ID@", self.id).replace("@SHORT@", &self.id[..12]).replace("@NAME@", self.name)
    }
}
