//! Local accounts in memory.

use super::{Held, room};
use std::collections::HashMap;
use tollgate_core::bounds::stores::{LISTED_MAX, USERS_MAX};
use tollgate_core::stores::{Pending, Taken, UserRecord, Users};

/// Accounts by id.
#[derive(Debug)]
pub(super) struct MemoryUsers(pub(super) Held<HashMap<String, UserRecord>>);

fn named<'a>(users: &'a HashMap<String, UserRecord>, name: &str) -> Option<&'a UserRecord> {
    users.values().find(|user| user.name == name)
}

impl Users for MemoryUsers {
    fn add(&self, user: UserRecord) -> Pending<'_, Result<(), Taken>> {
        Box::pin(async move {
            let mut users = self.0.write();
            if users.contains_key(&user.id) || named(&users, &user.name).is_some() {
                return Ok(Err(Taken));
            }
            room(users.len(), USERS_MAX, "accounts")?;
            users.insert(user.id.clone(), user);
            Ok(Ok(()))
        })
    }

    fn by_name<'a>(&'a self, name: &'a str) -> Pending<'a, Option<UserRecord>> {
        Box::pin(async move { Ok(named(&self.0.read(), name).cloned()) })
    }

    fn by_id<'a>(&'a self, id: &'a str) -> Pending<'a, Option<UserRecord>> {
        Box::pin(async move { Ok(self.0.read().get(id).cloned()) })
    }

    fn replace(&self, user: UserRecord) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut users = self.0.write();
            let is_taken = named(&users, &user.name).is_some_and(|other| other.id != user.id);
            match users.get_mut(&user.id) {
                Some(slot) if !is_taken => {
                    *slot = user;
                    Ok(true)
                }
                _ => Ok(false),
            }
        })
    }

    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let mut users = self.0.write();
            let id = named(&users, name).map(|user| user.id.clone());
            Ok(id.is_some_and(|id| users.remove(&id).is_some()))
        })
    }

    fn list(&self) -> Pending<'_, Vec<UserRecord>> {
        Box::pin(async move {
            let mut all: Vec<_> = self.0.read().values().cloned().collect();
            all.sort_by(|one, other| one.name.cmp(&other.name));
            all.truncate(LISTED_MAX);
            Ok(all)
        })
    }
}
