//! An authorization plugin that allows everything and says so: the smallest whole plugin, and a place to
//! start from.
//!
//! Run it as root, then tell the engine to ask it:
//!
//! ```text
//! cargo run --example allow_all -- /run/docker/plugins/allow-all.sock &
//! dockerd --authorization-plugin allow-all
//! ```
//!
//! Started by a systemd `.socket` unit it serves the socket that systemd passes, and can be restarted without
//! one failed docker command. SIGTERM or ctrl-c drains it: calls in flight are answered before it ends.

use std::error::Error;
use std::io::{Write, stderr};
use std::time::Duration;

use docker_plugin_sdk::authorization::{Authorization, Decision, Request, Response};
use docker_plugin_sdk::{Listener, Plugin, Socket};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

/// How long calls in flight may take once the plugin is to end. Below the 90 s after which systemd kills it.
const DRAIN_MAX: Duration = Duration::from_secs(30);

struct AllowAll;

impl Authorization for AllowAll {
    async fn request(&self, request: Request<'_>) -> Decision {
        // A policy would look here: at the method, the target, a header, or the decoded body. Deny when the
        // body that it needs is missing: the engine does not always show it.
        _ = writeln!(stderr(), "{} {}", request.method, request.uri);
        Decision::Allow
    }

    async fn response(&self, response: Response<'_>) -> Decision {
        let status = response.status.map_or("no status".into(), |it| it.to_string());
        _ = writeln!(stderr(), "{} {}: {status}", response.request.method, response.request.uri);
        Decision::Allow
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = match Listener::activated()? {
        Some(listener) => listener,
        None => {
            let path = std::env::args().nth(1).unwrap_or("/run/docker/plugins/allow-all.sock".into());
            Socket::new(path).mode(0o660).bind()?
        }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told_to_stop = async {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let plugin = Plugin::builder().authorization(AllowAll).build();
    let drained = plugin.serve(listener, told_to_stop, DRAIN_MAX).await?;
    writeln!(stderr(), "answered while draining: {}, cut off: {}", drained.answered, drained.cut_off)?;
    Ok(())
}
