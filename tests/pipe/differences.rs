//! What engines of one generation do and those of another do not, as far as tests have to know.
//!
//! The order of events differs as well: nobody has to know, for boathook makes the same of it.

use crate::engine::Generation;

/// How many bytes some creations have, and what is answered to them. All are harmless, but name no command, which
/// the engine finds out after it has asked its plugins.
///
/// Plugins are shown bodies below 1 MiB, and larger ones go through unseen. Since CVE-2026-34040 was
/// fixed (29.3.1, and Debian's 26.1.5 and 28.5.2) they are shown all up to 4 MiB, and larger ones are refused
/// (`maxBodySize` in moby, `pkg/authorization/authz.go`).
pub(super) const fn answers_to_large_creations(on: Generation) -> [(usize, &'static str); 2] {
    match on {
        Generation::V20_10 => {
            [(1_100_000, "docker did not show its body"), (4_300_000, "docker did not show its body")]
        }
        Generation::V26_1 | Generation::V28_5 => {
            [(1_100_000, "no command specified"), (4_300_000, "request body too large")]
        }
    }
}
