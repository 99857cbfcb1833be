//! What all endpoints share.
//!
//! Holds no state of its own that matters: codes, tokens, agents and keys are in the stores, so any
//! process that shares them answers alike.

use crate::document::Documents;
use crate::issuer::{IssuerError, IssuerSources};
use crate::keys::SigningRing;
use crate::people::People;
use crate::settings::{IssuerSettings, ResourceSettings};
use crate::workload::WorkloadKeys;
use std::sync::Arc;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::ids::Secret;
use tollgate_core::stores::Stores;
use tollgate_oauth::resource::Resource;
use tollgate_outbound::{Fetcher, Trust};

/// What all endpoints share.
#[derive(Debug)]
pub(crate) struct Desk {
    /// As configured.
    pub(crate) settings: IssuerSettings,
    /// The issuer identifier, as it stands in tokens and metadata: no final slash.
    pub(crate) issuer: String,
    /// Where everything lasting is.
    pub(crate) stores: Stores,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// What the steps with people share.
    pub(crate) people: People,
    /// What signs.
    pub(crate) ring: SigningRing,
    /// Fetches what agents refer to, trusting the system's CAs.
    pub(crate) fetcher: Fetcher,
    /// What agents refer to, as it was fetched of late.
    pub(crate) documents: Documents,
    /// The keys of issuers of workload tokens.
    pub(crate) workloads: WorkloadKeys,
}

impl Desk {
    /// Makes it.
    ///
    /// # Errors
    /// Something the settings name cannot be used.
    pub(crate) fn new(
        settings: IssuerSettings,
        sources: IssuerSources,
    ) -> Result<Self, IssuerError> {
        let issuer = settings.url.as_str().trim_end_matches('/').to_owned();
        let people = People::new(&settings.sign_in, &Secret::new(sources.seal))?;
        Ok(Self {
            people,
            fetcher: Fetcher::new(Trust::System)?,
            documents: Documents::new(),
            workloads: WorkloadKeys::new(&settings.workloads)?,
            ring: SigningRing::new(sources.keys),
            settings,
            issuer,
            stores: sources.stores,
            clock: sources.clock,
            entropy: sources.entropy,
        })
    }

    /// Now, in Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_secs()
    }

    /// The URL of one of our paths.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// The route behind a resource identifier, however the operator or the client spells it.
    pub(crate) fn resource(&self, identifier: &str) -> Option<&ResourceSettings> {
        let named = Resource::parse(identifier).ok()?;
        self.settings.resources.iter().find(|resource| named.is(&resource.identifier))
    }
}
