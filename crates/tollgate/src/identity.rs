//! What identity needs besides its settings: the stores, and the gate's own authorization server.
//!
//! Put together at the start, where the configuration asks for it. The authorization server stands on the
//! gate's listener as its annex; the two know nothing of one another.

use anyhow::Context as _;
use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::ids::Secret;
use tollgate_core::stores::Stores;
use tollgate_gate::annex::{Annex, Answer};
use tollgate_identity::Sources;
use tollgate_issuer::settings::IssuerSettings;
use tollgate_issuer::{Issuer, IssuerSources};
use tollgate_oauth::keys::SharedKeys;

/// What of the configuration decides about identity, besides the gate's own settings.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The stores; `None` where callers prove nothing.
    pub(crate) stores: Option<Stores>,
    /// The gate's own authorization server, if there is to be one.
    pub(crate) issuer: Option<&'a IssuerSettings>,
    /// Keys that seal sessions; what is kept in browsers is sealed with one derived from the first.
    pub(crate) keys: &'a [Secret<[u8; 32]>],
}

/// What identity is made of in a running gate.
#[derive(Debug)]
pub(crate) struct Identity {
    /// For the gate.
    pub(crate) sources: Sources,
    /// For the gate's listener.
    pub(crate) annex: Option<Arc<Desk>>,
}

impl Identity {
    /// Starts the authorization server; `None` where callers prove nothing.
    ///
    /// # Errors
    /// The authorization server cannot start.
    pub(crate) async fn open(
        wanted: Wanted<'_>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(stores) = wanted.stores else { return Ok(None) };
        let keys = SharedKeys::default();
        let own = wanted.issuer.map(|settings| (issuer_url(settings), keys.clone()));
        let annex = match wanted.issuer {
            None => None,
            Some(settings) => {
                let seal = browser_seal(wanted.keys, &*entropy);
                let around =
                    Around { stores: stores.clone(), clock: clock.clone(), entropy, keys, seal };
                let issuer = around.build(settings)?;
                issuer.start().await.context("issuer")?;
                issuer.start_background();
                let present = Mutex::new(settings.clone());
                Some(Arc::new(Desk { issuer: ArcSwap::new(issuer), present, around }))
            }
        };
        Ok(Some(Self { sources: Sources { stores, own, clock }, annex }))
    }
}

/// The issuer identifier, as it stands in tokens.
fn issuer_url(settings: &IssuerSettings) -> String {
    settings.url.as_str().trim_end_matches('/').to_owned()
}

/// The key for what is kept in browsers. The same in all processes with the same session keys; a
/// random one without them, so that people sign in again after a restart.
fn browser_seal(keys: &[Secret<[u8; 32]>], entropy: &dyn Entropy) -> [u8; 32] {
    let mut seal = [0; 32];
    let Some(first) = keys.first() else {
        entropy.fill(&mut seal);
        return seal;
    };
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"tollgate: what the authorization server keeps in browsers\0");
    hash.update(first.expose());
    seal.copy_from_slice(hash.finish().as_ref());
    seal
}

/// The authorization server of the present configuration.
#[derive(Debug)]
pub(crate) struct Desk {
    issuer: ArcSwap<Issuer>,
    // A plain mutex: looked at when the configuration changes.
    present: Mutex<IssuerSettings>,
    around: Around,
}

/// What every version of it shares.
struct Around {
    stores: Stores,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keys: SharedKeys,
    seal: [u8; 32],
}

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").finish_non_exhaustive()
    }
}

impl Around {
    fn build(&self, settings: &IssuerSettings) -> anyhow::Result<Arc<Issuer>> {
        let sources = IssuerSources {
            stores: self.stores.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            keys: self.keys.clone(),
            seal: self.seal,
        };
        Issuer::build(settings.clone(), sources).context("issuer")
    }
}

impl Desk {
    /// Puts other settings in force for requests that begin from now on.
    ///
    /// # Errors
    /// They cannot be put to work; the old ones then stay.
    pub(crate) fn reload(&self, settings: &IssuerSettings) -> anyhow::Result<()> {
        let mut present = self.present.lock();
        if *present == *settings {
            return Ok(());
        }
        let issuer = self.around.build(settings)?;
        issuer.start_background();
        self.issuer.store(issuer);
        *present = settings.clone();
        Ok(())
    }
}

impl Annex for Desk {
    fn serves(&self, path: &str) -> bool {
        self.issuer.load().serves(path)
    }

    fn serve(&self, request: Request<Incoming>, address: IpAddr, is_tls: bool) -> Answer<'_> {
        let issuer = self.issuer.load_full();
        Box::pin(async move {
            let (head, body) = issuer.serve(request, address, is_tls).await.into_parts();
            // A whole body cannot fail to be read.
            let body = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
            http::Response::from_parts(head, body)
        })
    }
}
