//! What the steps in which people take part have in common.
//!
//! Nothing here lasts: another process with the same sealing key and stores goes on where this one
//! stopped. Only the counters of failed sign-ins are each process's own.

use crate::accounts::Accounts;
use crate::browser::ended::Ended;
use crate::provider::{Provider, ProviderFault};
use crate::seal::{BadSealKey, Seal};
use crate::settings::SignIn;
use crate::throttle::Throttle;
use tollgate_core::ids::Secret;

/// What the steps in which people take part have in common.
#[derive(Debug)]
pub(crate) struct People {
    /// Seals what browsers carry.
    pub(crate) seal: Seal,
    /// Slows down guessing.
    pub(crate) throttle: Throttle,
    /// Checks passwords.
    pub(crate) accounts: Accounts,
    /// Knows which sessions ended early.
    pub(crate) ended: Ended,
    /// Where people sign in, unless they do here.
    pub(crate) provider: Option<Provider>,
}

/// Why people cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The key does not fit.
    #[error(transparent)]
    Seal(#[from] BadSealKey),
    /// The provider cannot be asked.
    #[error(transparent)]
    Provider(#[from] ProviderFault),
}

impl People {
    /// Makes it.
    ///
    /// # Errors
    /// Something the settings name cannot be used.
    pub(crate) fn new(sign_in: &SignIn, seal: &Secret<[u8; 32]>) -> Result<Self, PeopleError> {
        let provider = match sign_in {
            SignIn::Nobody | SignIn::Accounts => None,
            SignIn::Provider(settings) => Some(Provider::new((**settings).clone())?),
        };
        Ok(Self {
            seal: Seal::new(seal.expose())?,
            throttle: Throttle::new(),
            accounts: Accounts::new(),
            ended: Ended::default(),
            provider,
        })
    }
}
