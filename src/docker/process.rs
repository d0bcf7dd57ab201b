//! The engine as a process of this host.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use tokio::net::UnixStream;

use super::Docker;

/// The process that listens where the engine is called: the engine itself, or whoever opened the socket for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineProcess {
    /// Its id.
    pub pid: i32,
    /// For how long the machine was up when it began, to a hundredth of a second.
    pub since: Duration,
}

impl Docker {
    /// The process that listens where the engine is called, if it can be seen from here. Nothing is asked of it.
    pub async fn process(&self) -> Option<EngineProcess> {
        let stream = UnixStream::connect(&*self.socket).await.ok()?;
        // Who called `listen`, at that time (`unix(7)`).
        let pid = stream.peer_cred().ok()?.pid()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(EngineProcess { pid, since: begun(&stat, clock_ticks_per_second())? })
    }
}

/// When a process began, by `/proc/PID/stat` (`proc_pid_stat(5)`): the 22nd field, in ticks since the boot.
fn begun(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    // The second field is a name in parentheses, in which there may be anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let per_second = ticks_per_second.max(1);
    let nanos = (ticks % per_second) * 1_000_000_000 / per_second;
    Some(Duration::new(ticks / per_second, u32::try_from(nanos).ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::begun;

    #[test]
    fn a_process_tells_when_it_began_whatever_its_name() {
        let stat = "7 (dock) 1 (er) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 9 0 12345 1 2 3";

        assert_eq!(begun(stat, 100), Some(Duration::from_millis(123_450)));
        assert_eq!(begun("7 (x) S 1", 100), None);
    }
}
