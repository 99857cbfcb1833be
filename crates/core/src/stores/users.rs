//! People with local accounts: for those who have no OpenID provider.

use super::Pending;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A local account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// What tokens name the person by; random, never used again.
    pub id: String,
    /// What the person signs in with. Compared exactly.
    pub name: String,
    /// The Argon2id hash of the password, in PHC string format.
    pub password: String,
    /// Groups.
    pub groups: Vec<String>,
    /// When the account was made, in Unix seconds.
    pub created: u64,
    /// When the password was set, in Unix seconds: sign-ins from before are void.
    pub password_set: u64,
    /// When the operator locked it, in Unix seconds.
    pub locked: Option<u64>,
}

/// Local accounts.
pub trait Users: Send + Sync + fmt::Debug {
    /// Adds an account.
    fn add(&self, user: UserRecord) -> Pending<'_, Result<(), super::Taken>>;

    /// The account people sign in to with this name.
    fn by_name<'a>(&'a self, name: &'a str) -> Pending<'a, Option<UserRecord>>;

    /// The account with this id.
    fn by_id<'a>(&'a self, id: &'a str) -> Pending<'a, Option<UserRecord>>;

    /// Puts `user` in the place of the account with its id; says whether there is one.
    fn replace(&self, user: UserRecord) -> Pending<'_, bool>;

    /// Removes an account; says whether it was there.
    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, bool>;

    /// All accounts by name; at most 10,000.
    fn list(&self) -> Pending<'_, Vec<UserRecord>>;
}
