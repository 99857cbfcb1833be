//! What the gate shows an upstream besides constant headers: a token of its own, or one for each
//! principal. Never what an agent came with, which does not get this far.
//!
//! A token is asked for when a call first needs it, by one call while others wait, and anew in the
//! background ahead of its end. A token the upstream answers 401 is dropped; the call that met this
//! is not sent again. Failures are remembered for seconds, so that neither a broken server nor a
//! refused principal has it asked with every call.
//!
//! Next: `credential/slot.rs` keeps one token; `credential/asking.rs` gets one; `credential/voucher.rs` says who the
//! principal is.

mod asking;
mod client;
mod server;
mod slot;
mod voucher;

use crate::settings::{CredentialSettings, Transport, UpstreamSettings};
use crate::system::{SystemClock, SystemEntropy};
use crate::upstream::request::OnBehalf;
use asking::Asking;
use parking_lot::Mutex;
use slot::Slot;
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::outbound::{BORROWED_MAX, BORROWING_MILLIS};
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::ids::UpstreamName;
use tollgate_core::principal::{CallerKey, Proof};
use tollgate_oauth::keys::SigningFault;
use tollgate_outbound::FetchFault;
use voucher::Voucher;

pub(crate) use slot::Lent;

/// Why the credential of an upstream cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The CAs of its token server cannot be used.
    #[error("its token server cannot be trusted: {0}")]
    Trust(FetchFault),
    /// A private key cannot be used.
    #[error("its private key cannot be used: {0}")]
    Key(SigningFault),
    /// A value cannot be sent.
    #[error("its {0} cannot be sent")]
    Unsendable(&'static str),
    /// Its token server is not one tokens can be asked of.
    #[error("its token server's URL is not usable: {0}")]
    Server(&'static str),
    /// Nobody would get a token.
    #[error("it vouches for nobody: name the issuers whose principals get tokens")]
    Nobody,
    /// A header that is set already.
    #[error("its token goes into the header `authorization`, which is also configured")]
    Header,
    /// Something its transport has no place for.
    #[error("it cannot be used with this transport: {0}")]
    Transport(&'static str),
}

/// Why there is no token for a call just now. Says nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// It is to be got for a principal, and nobody proved who they are.
    #[error("the caller is anonymous, and the upstream has a token for each principal")]
    Anonymous,
    /// The gate does not vouch for principals of this issuer.
    #[error("the gate does not vouch for principals of this issuer at the token server")]
    Stranger,
    /// The token server cannot be reached, or is in trouble.
    #[error("the token server is not available: {0}")]
    Unavailable(String),
    /// The token server said no.
    #[error("the token server refused: {0}")]
    Refused(String),
    /// What the token server answered is no token.
    #[error("the token server's answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// Gets and keeps the tokens of one upstream.
#[derive(Debug)]
pub(crate) struct Credential {
    upstream: UpstreamName,
    asking: Asking,
    tokens: Tokens,
    /// The file of its CAs, and what was in it.
    ca: Option<(PathBuf, Vec<u8>)>,
}

#[derive(Debug)]
enum Tokens {
    /// One for all.
    Own(Arc<Slot>),
    /// One for each principal.
    Each(Box<Each>),
}

#[derive(Debug)]
struct Each {
    voucher: Voucher,
    slots: Slots,
}

/// A token that is being asked for.
pub(crate) type Lending = Pin<Box<dyn Future<Output = Result<Arc<Lent>, CredentialFault>> + Send>>;

impl Credential {
    /// The credential of an upstream, if it has one that must be asked for.
    pub(crate) fn new(settings: &UpstreamSettings) -> Result<Option<Arc<Self>>, CredentialError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (request, tokens) = match &settings.credential {
            CredentialSettings::None => return Ok(None),
            CredentialSettings::ClientCredentials(request) => {
                (&**request, Tokens::Own(Arc::default()))
            }
            CredentialSettings::Exchange(exchange) => {
                let (server, said) = (&exchange.request.server, &exchange.assertion);
                let voucher = Voucher::new(said, server, (clock.clone(), entropy.clone()))?;
                let each = Each { voucher, slots: Slots::default() };
                (&exchange.request, Tokens::Each(Box::new(each)))
            }
        };
        match (&settings.transport, &tokens) {
            (Transport::Stdio(_), _) => {
                return Err(CredentialError::Transport("a child process has no headers"));
            }
            (Transport::Sse, Tokens::Each(_)) => {
                return Err(CredentialError::Transport("callers share its event stream"));
            }
            (Transport::Sse, Tokens::Own(_)) | (Transport::Http, _) => {}
        }
        if settings.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            return Err(CredentialError::Header);
        }
        let ca = request.server.ca.as_ref();
        let ca = ca.map(|path| (path.clone(), std::fs::read(path).unwrap_or_default()));
        let asking = Asking::new(request, (clock, entropy))?;
        Ok(Some(Arc::new(Self { upstream: settings.name.clone(), asking, tokens, ca })))
    }

    /// Whether the files it was made from still hold the same.
    pub(crate) fn is_current(&self) -> bool {
        let is_same =
            |(path, known): &(PathBuf, Vec<u8>)| std::fs::read(path).is_ok_and(|now| now == *known);
        self.ca.as_ref().is_none_or(is_same)
    }

    /// The token for a request made for `whom`: at hand, or to be waited for.
    pub(crate) fn lend(
        self: &Arc<Self>,
        whom: Option<&OnBehalf>,
        now: Instant,
    ) -> Result<Arc<Lent>, Lending> {
        let (slot, proof) = match &self.tokens {
            Tokens::Own(slot) => (slot.clone(), None),
            Tokens::Each(each) => {
                let proof = whom.and_then(OnBehalf::proof);
                let Some(proof) = proof else { return Err(fails(CredentialFault::Anonymous)) };
                if !each.voucher.vouches_for(proof) {
                    return Err(fails(CredentialFault::Stranger));
                }
                (each.slots.of(proof.caller(), now), Some(proof.clone()))
            }
        };
        match slot.at_hand(now) {
            Some(lent) => {
                if slot.must_renew(&lent, now) {
                    let renewing = self.clone();
                    // Ends by itself within the time of a fetch or two; nobody waits for it.
                    tokio::spawn(async move { renewing.renew(&slot, proof).await });
                }
                Ok(lent)
            }
            None => Err(self.borrow(slot, proof)),
        }
    }

    /// The upstream answered 401 to this token: it is not used any more.
    pub(crate) fn refused(&self, whom: Option<&OnBehalf>, lent: &Arc<Lent>) {
        let now = Instant::now();
        let was_dropped = match (&self.tokens, whom.and_then(OnBehalf::proof)) {
            (Tokens::Own(slot), _) => slot.drop_token(lent, now),
            (Tokens::Each(each), Some(proof)) => {
                each.slots.of(proof.caller(), now).drop_token(lent, now)
            }
            (Tokens::Each(_), None) => false,
        };
        if was_dropped {
            tracing::warn!(upstream = %self.upstream, "the upstream refused a token; it is asked for anew");
        }
    }

    fn borrow(self: &Arc<Self>, slot: Arc<Slot>, proof: Option<Arc<Proof>>) -> Lending {
        let this = self.clone();
        Box::pin(async move {
            let limit = Duration::from_millis(BORROWING_MILLIS);
            let got = tokio::time::timeout(limit, slot.get(this.ask(proof)));
            let late = || CredentialFault::Unavailable(String::from("it did not answer in time"));
            got.await.unwrap_or_else(|_| Err(late()))
        })
    }

    async fn renew(&self, slot: &Slot, proof: Option<Arc<Proof>>) {
        let limit = Duration::from_millis(BORROWING_MILLIS);
        // Too late is as good as refused: the token at hand is used to its end.
        drop(tokio::time::timeout(limit, slot.renew(self.ask(proof))).await);
    }

    async fn ask(&self, proof: Option<Arc<Proof>>) -> Result<Lent, CredentialFault> {
        let asked = match (&self.tokens, proof) {
            (Tokens::Own(_), _) => self.asking.own().await,
            (Tokens::Each(each), Some(proof)) => {
                let subject = each.voucher.vouch(&proof)?;
                self.asking.exchange(&subject).await
            }
            (Tokens::Each(_), None) => Err(CredentialFault::Anonymous),
        };
        if let Err(fault) = &asked {
            tracing::warn!(upstream = %self.upstream, %fault, "no token for an upstream");
        }
        asked
    }
}

fn fails(fault: CredentialFault) -> Lending {
    Box::pin(std::future::ready(Err(fault)))
}

/// The tokens of principals, in parts so that calls of different principals rarely meet.
#[derive(Debug, Default)]
struct Slots([Mutex<HashMap<CallerKey, Arc<Slot>>>; PARTS]);

const PARTS: usize = 16;

impl Slots {
    fn of(&self, caller: CallerKey, now: Instant) -> Arc<Slot> {
        let mut part = self.0[caller.part(PARTS)].lock();
        if let Some(known) = part.get(&caller) {
            return known.clone();
        }
        if part.len() >= BORROWED_MAX / PARTS {
            part.retain(|_, slot| slot.is_worth_keeping(now));
        }
        if part.len() >= BORROWED_MAX / PARTS {
            // All in use: somebody has to ask again.
            let any = part.keys().next().copied();
            any.and_then(|any| part.remove(&any));
        }
        part.entry(caller).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{PARTS, Slots};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use tokio::time::Instant;
    use tollgate_core::bounds::outbound::BORROWED_MAX;
    use tollgate_core::principal::CallerKey;

    fn caller(number: usize) -> CallerKey {
        let bits = u32::try_from(number).expect("small");
        CallerKey::of_address(IpAddr::V4(Ipv4Addr::from_bits(bits)))
    }

    #[test]
    fn a_principal_keeps_its_slot_and_slots_are_bounded() {
        let (slots, now) = (Slots::default(), Instant::now());
        assert!(Arc::ptr_eq(&slots.of(caller(1), now), &slots.of(caller(1), now)));
        assert!(!Arc::ptr_eq(&slots.of(caller(1), now), &slots.of(caller(2), now)));
        for number in 0..BORROWED_MAX * 2 {
            slots.of(caller(number), now);
        }
        let kept: Vec<_> = slots.0.iter().map(|part| part.lock().len()).collect();
        assert!(kept.iter().sum::<usize>() <= BORROWED_MAX, "{kept:?}");
        assert!(kept.iter().all(|kept| *kept <= BORROWED_MAX / PARTS), "{kept:?}");
    }
}
