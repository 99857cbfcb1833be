//! Local accounts: whether a name and a password belong together.
//!
//! Argon2id with the parameters OWASP recommends. At most as many passwords are checked at a time as
//! there are cores, and few wait; more are told to come back. A name that does not exist, one that is
//! locked and a wrong password cost the same and are told the same. Passwords are compared byte for
//! byte, whatever their alphabet.
//!
//! Next: `signin.rs`, which also slows down who guesses (`throttle.rs`).

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tollgate_core::bounds::people::{
    PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, PASSWORDS_WAITING_MAX, USER_NAME_BYTES_MAX,
};
use tollgate_core::clock::Entropy;
use tollgate_core::ids::Secret;
use tollgate_core::stores::{StoreError, UserRecord, Users};

/// What the passwords of names that do not exist are compared with. No password has this hash: it is
/// not the outcome of a computation.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$dG9sbGdhdGUtbm9ib2R5IQ$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Beginning of every person's id, so that none is ever equal to a client's.
const USER: &str = "user:";

/// Why a password cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// It could be guessed.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    Short,
    /// It would take long to hash.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    Long,
    /// The library failed.
    #[error("the password could not be hashed")]
    Hash,
}

/// The hash of a new password, in PHC string format. Takes some 20 ms of a core and 19 MiB.
///
/// # Errors
/// It is too short or too long.
pub fn hash_password(password: &str, entropy: &dyn Entropy) -> Result<String, PasswordFault> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(PasswordFault::Short);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordFault::Long);
    }
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let hash = hasher().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|_error| PasswordFault::Hash)
}

/// The id of a new account.
#[must_use]
pub fn new_user_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes.iter().fold(String::from(USER), |mut id, byte| {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// What tokens name the person of an account by.
pub(crate) fn subject(user: &UserRecord) -> String {
    if user.id.starts_with(USER) { user.id.clone() } else { format!("{USER}{}", user.id) }
}

/// What is another one after every change of the password.
pub(crate) fn stamp(user: &UserRecord) -> String {
    let digest = digest::digest(&digest::SHA256, user.password.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// SPEC: OWASP Password Storage Cheat Sheet: Argon2id, 19 MiB, two passes, one lane.
fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// Why nobody could be signed in just now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsFault {
    /// Too many try at once.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The store has no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where passwords are checked.
#[derive(Debug)]
pub(crate) struct Accounts {
    cores: Arc<Semaphore>,
    queue: Semaphore,
}

impl Accounts {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            queue: Semaphore::new(cores + PASSWORDS_WAITING_MAX),
        }
    }

    /// Whose name and password these are, if the account may be used.
    ///
    /// # Errors
    /// Nobody can say now.
    pub(crate) async fn person(
        &self,
        users: &dyn Users,
        name: &str,
        password: &Secret<String>,
    ) -> Result<Option<UserRecord>, AccountsFault> {
        let is_possible = name.len() <= USER_NAME_BYTES_MAX
            && (1..=PASSWORD_BYTES_MAX).contains(&password.expose().len());
        if !is_possible {
            return Ok(None);
        }
        let Ok(_place) = self.queue.try_acquire() else { return Err(AccountsFault::Busy) };
        let user = users.by_name(name).await?;
        let hash = user.as_ref().map_or(NOBODY, |user| &user.password).to_owned();
        let is_right = self.matches(password.clone(), hash).await?;
        Ok(user.filter(|user| is_right && user.locked.is_none()))
    }

    async fn matches(&self, password: Secret<String>, hash: String) -> Result<bool, AccountsFault> {
        // Held by the computation, not by who waits for it: that may go away, and the core is busy
        // all the same.
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let core = core.map_err(|_closed| AccountsFault::Busy)?;
        let checked = tokio::task::spawn_blocking(move || {
            let _core = core;
            let hash = PasswordHash::new(&hash);
            hash.is_ok_and(|hash| {
                hasher().verify_password(password.expose().as_bytes(), &hash).is_ok()
            })
        });
        checked.await.map_err(|_panicked| AccountsFault::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::{Accounts, AccountsFault, NOBODY, PasswordFault, hash_password, new_user_id};
    use argon2::password_hash::phc::PasswordHash;
    use tollgate_core::clock::Entropy;
    use tollgate_core::ids::Secret;
    use tollgate_core::stores::{Pending, Taken, UserRecord, Users};

    #[derive(Debug)]
    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    /// One account, `ada`.
    #[derive(Debug)]
    struct One(UserRecord);

    impl Users for One {
        fn add(&self, _user: UserRecord) -> Pending<'_, Result<(), Taken>> {
            Box::pin(async { Ok(Err(Taken)) })
        }
        fn by_name<'a>(&'a self, name: &'a str) -> Pending<'a, Option<UserRecord>> {
            Box::pin(async move { Ok((name == self.0.name).then(|| self.0.clone())) })
        }
        fn by_id<'a>(&'a self, _id: &'a str) -> Pending<'a, Option<UserRecord>> {
            Box::pin(async { Ok(None) })
        }
        fn replace(&self, _user: UserRecord) -> Pending<'_, bool> {
            Box::pin(async { Ok(false) })
        }
        fn remove<'a>(&'a self, _name: &'a str) -> Pending<'a, bool> {
            Box::pin(async { Ok(false) })
        }
        fn list(&self) -> Pending<'_, Vec<UserRecord>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    const PASSWORD: &str = "correct horse battery";

    fn ada(locked: Option<u64>) -> One {
        One(UserRecord {
            id: new_user_id(&Sevens),
            name: "ada".into(),
            password: hash_password(PASSWORD, &Sevens).expect("long enough"),
            groups: Vec::new(),
            created: 0,
            password_set: 0,
            locked,
        })
    }

    async fn signs_in(users: &One, name: &str, password: &str) -> bool {
        let password = Secret::new(password.to_owned());
        let person = Accounts::new().person(users, name, &password).await;
        person.expect("not busy").is_some()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_unlocked_name_signs_in() {
        assert!(signs_in(&ada(None), "ada", PASSWORD).await);
        assert!(!signs_in(&ada(None), "ada", "correct horse batterz").await);
        assert!(!signs_in(&ada(None), "ada", "").await);
        assert!(!signs_in(&ada(None), "Ada", PASSWORD).await);
        assert!(!signs_in(&ada(Some(1)), "ada", PASSWORD).await);
    }

    #[tokio::test]
    async fn a_password_beyond_the_bound_is_refused_before_anything_is_computed() {
        let accounts = Accounts::new();
        // No core is free: whatever computes would wait for ever.
        let cores = u32::try_from(accounts.cores.available_permits()).expect("few");
        let _taken = accounts.cores.acquire_many(cores).await.expect("open");
        let long = Secret::new("x".repeat(1_025));
        let person = accounts.person(&ada(None), "ada", &long).await;
        assert!(person.expect("not busy").is_none());
    }

    #[tokio::test]
    async fn more_than_may_wait_are_told_to_come_back() {
        let accounts = Accounts::new();
        let all = u32::try_from(accounts.queue.available_permits()).expect("few");
        let _taken = accounts.queue.acquire_many(all).await.expect("open");
        let password = Secret::new(PASSWORD.to_owned());
        let person = accounts.person(&ada(None), "ada", &password).await;
        assert!(matches!(person, Err(AccountsFault::Busy)));
    }

    #[test]
    fn who_does_not_exist_costs_what_others_cost() {
        let nobody = PasswordHash::new(NOBODY).expect("a hash");
        let somebody = hash_password(PASSWORD, &Sevens).expect("long enough");
        let somebody = PasswordHash::new(&somebody).expect("a hash");
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.version, somebody.version);
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.salt.map(|salt| salt.len()), somebody.salt.map(|salt| salt.len()));
        assert_eq!(nobody.hash.map(|hash| hash.len()), somebody.hash.map(|hash| hash.len()));
    }

    #[test]
    fn new_passwords_are_neither_short_nor_long() {
        let judged = |password: &str| hash_password(password, &Sevens).map(|_hash| ());
        assert_eq!(judged("elevenchars"), Err(PasswordFault::Short));
        assert_eq!(judged("twelve chars"), Ok(()));
        assert_eq!(judged(&"x".repeat(1_025)), Err(PasswordFault::Long));
    }

    #[test]
    fn ids_of_people_are_marked_as_such() {
        assert_eq!(new_user_id(&Sevens), "user:07070707070707070707070707070707");
    }
}
