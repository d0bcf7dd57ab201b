//! What a host has of boathook's networks, and what it can reach over them.

use crate::engine::Sandbox;

/// A command that asks a server at `ADDRESS[:PORT]`, which is at port 80 if nothing is said, for its page by
/// HTTP. Busybox's own client of HTTP crashes where it is static.
pub(super) fn request(place: &str) -> String {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, "80"),
    };
    let host = host.trim_matches(['[', ']']);
    format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 {host} {port}")
}

/// Whether the host reads the page `page` from a server at this place.
pub(super) fn reads(sandbox: &Sandbox, place: &str, page: &str) -> bool {
    let output = sandbox.run(&["sh", "-c", &request(place)]);
    output.status.success() && output.stdout.lines().last() == Some(page)
}

/// The names of the links that boathook made.
pub(super) fn links(sandbox: &Sandbox) -> Vec<String> {
    let all = sandbox.shell("ip -o link");
    let names = all.lines().filter_map(|it| it.split(": ").nth(1)?.split('@').next());
    names.filter(|it| it.starts_with("bh")).map(str::to_owned).collect()
}

/// Whether neither link nor rule of boathook's is left.
pub(super) fn is_clean(sandbox: &Sandbox) -> bool {
    links(sandbox).is_empty() && !sandbox.shell("iptables-save; ip6tables-save").contains("BOATHOOK")
}
