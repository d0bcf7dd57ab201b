//! Networks to try rules in: hosts that are network namespaces, joined by pairs of links.

use std::fs::File;
use std::iter;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant};

use boathook::driver::firewall::{self, Firewall, FirewallError, Published, Wanted};
use boathook::runner::{Runner, Settings};
use nix::sched::{CloneFlags, setns, unshare};
use tokio::runtime::Builder;

/// For a packet to get through to where nothing keeps it. It takes microseconds; where it is dropped,
/// all of this is waited for.
const PACKET_LIMIT: Duration = Duration::from_millis(500);

/// For a connection that is let through to be made, on a busy machine.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// A network namespace: links, addresses, routes and rules of its own. It goes with the last handle.
pub(super) struct Net {
    file: File,
}

impl Net {
    /// A new one, in which only `lo` is up.
    pub(super) fn new() -> Net {
        let file = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("namespaces are root's: run with `sudo -E`");
                File::open("/proc/thread-self/ns/net").expect("the namespace of this thread")
            });
            inside.join().expect("a thread that does not panic")
        });
        let net = Net { file };
        net.sh("ip link set lo up");
        net
    }

    /// The one in which a process is.
    pub(super) fn of(pid: u32) -> Net {
        Net { file: File::open(format!("/proc/{pid}/ns/net")).expect("a living process") }
    }

    /// What `act` does, done inside.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
                act()
            });
            inside.join().expect("a thread that does not panic")
        })
    }

    /// What a line of shell writes.
    #[track_caller]
    pub(super) fn sh(&self, line: &str) -> String {
        let output = self.within(|| Command::new("sh").args(["-euc", line]).output().expect("start `sh`"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The rules of a family, without their counters and the times at which they were read.
    pub(super) fn rules(&self, save: &str) -> Vec<String> {
        let text = self.sh(save);
        let lines = text.lines().filter(|it| !it.starts_with('#'));
        lines.map(|it| it.split(" [").next().expect("a line").to_owned()).collect()
    }

    pub(super) fn apply(&self, wanted: &Wanted) -> Result<(), FirewallError> {
        self.within(|| {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            // What another program has changed in between is to be found.
            runtime.block_on(Firewall::new(runner()).repair(wanted))
        })
    }

    /// Has the kernel forget who sends to these ports.
    pub(super) fn forget(&self, published: &[Published]) {
        self.within(|| {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(firewall::forget(published));
        });
    }

    /// Links `name` in here with `peer` in `other`. Both are up.
    pub(super) fn join(&self, name: &str, other: &Net, peer: &str) {
        let there = format!("/proc/{}/fd/{}", process::id(), other.file.as_raw_fd());
        self.sh(&format!(
            "ip link add {name} type veth peer name {peer} netns {there}; ip link set {name} up"
        ));
        other.sh(&format!("ip link set {peer} up"));
    }

    /// A socket that listens in here.
    pub(super) fn listen(&self, at: &str) -> TcpListener {
        let at: SocketAddr = at.parse().expect("an address");
        self.within(|| TcpListener::bind(at)).expect("a socket")
    }

    /// As whom `listener` sees the one in here who connects to `to`. `None`: the connection is not made.
    pub(super) fn seen_by(&self, listener: &TcpListener, to: &str) -> Option<IpAddr> {
        let to: SocketAddr = to.parse().expect("an address");
        let stream = self.within(|| TcpStream::connect_timeout(&to, CONNECTION_LIMIT)).ok()?;
        let (_, peer) = listener.accept().expect("the connection that was made");
        drop(stream);
        Some(peer.ip())
    }

    /// Whether a connection from in here to `to` is kept from being made: refused, or waited for in vain.
    pub(super) fn is_kept_from(&self, to: &str) -> bool {
        let to: SocketAddr = to.parse().expect("an address");
        self.within(|| TcpStream::connect_timeout(&to, PACKET_LIMIT)).is_err()
    }

    /// Whether somebody answers who takes a moment to listen.
    pub(super) fn reaches(&self, to: &str) -> bool {
        let to: SocketAddr = to.parse().expect("an address");
        let connected = || self.within(|| TcpStream::connect_timeout(&to, PACKET_LIMIT)).is_ok();
        let ends_at = Instant::now() + CONNECTION_LIMIT;
        iter::repeat_with(connected).take_while(|_| Instant::now() < ends_at).any(|it| it)
    }

    /// Whether a datagram from in here to `to` is answered by `server`.
    pub(super) fn is_answered(&self, server: &UdpSocket, to: &str) -> bool {
        let to: SocketAddr = to.parse().expect("an address");
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let client = self.within(|| UdpSocket::bind(any)).expect("a socket");
        client.connect(to).expect("a route");
        client.send(b"?").expect("it is sent");
        let mut read = [0; 1];
        server.set_read_timeout(Some(PACKET_LIMIT)).expect("a limit");
        client.set_read_timeout(Some(PACKET_LIMIT)).expect("a limit");
        let Ok((_, from)) = server.recv_from(&mut read) else { return false };
        server.send_to(b"!", from).expect("it is sent");
        client.recv(&mut read).is_ok()
    }
}

fn runner() -> Runner {
    Runner::new(Settings {
        runs_dir: "/nonexistent".into(),
        docker_host: "unix:///nonexistent.sock".into(),
        home: "/root".into(),
        host: "here".into(),
        output_bytes_max: 0,
    })
    .expect("a runner")
}
