//! The part of the plugin that stays when the parts behind it are replaced.

use std::sync::Arc;

use arc_swap::ArcSwap;
use docker_plugin_sdk::authorization::{Authorization, Decision, Request, Response};

use crate::source::authorization::Gatekeeper;

/// Leads each call to the gatekeeper that is there when it comes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Door(Arc<ArcSwap<Gatekeeper>>);

impl Door {
    pub(super) fn to(gatekeeper: Gatekeeper) -> Door {
        Door(Arc::new(ArcSwap::from_pointee(gatekeeper)))
    }

    /// Leads the calls that come from now on to `gatekeeper`; those under way stay where they are.
    pub(super) fn lead_to(&self, gatekeeper: Gatekeeper) {
        self.0.store(Arc::new(gatekeeper));
    }
}

impl Authorization for Door {
    async fn request(&self, request: Request<'_>) -> Decision {
        self.0.load_full().request(request).await
    }

    async fn response(&self, response: Response<'_>) -> Decision {
        self.0.load_full().response(response).await
    }
}
