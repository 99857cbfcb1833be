//! `tollgate users`: local accounts of people who sign in at the gate's own issuer.
//!
//! A password is never an argument, where others could see it: it is asked for, read from standard
//! input, or made up and printed once. Next: `users/password.rs`.

mod password;

use crate::cli::{AddUserArgs, PasswdArgs, UsersAction, UsersArgs};
use crate::dates::spell_minute;
use crate::records::{self, Records, Told, table};
use crate::screen::on_one_line;
use password::{Password, PasswordError};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;
use tollgate_core::bounds::people::USER_NAME_BYTES_MAX;
use tollgate_core::stores::{Revocable, Revocation, StoreError, Taken, UserRecord};
use tollgate_issuer::accounts::{PasswordFault, hash_password, new_user_id};
use tollgate_issuer::settings::SignIn;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    #[error(
        "the gate has no issuer of its own that people could sign in at: add `issuer: {{ sign_in: accounts }}` to the configuration"
    )]
    NoIssuer,
    #[error("people sign in at {0}, so their accounts are there")]
    Elsewhere(String),
    #[error("nobody signs in here: write `sign_in: accounts` below `issuer`")]
    Nobody,
    #[error(
        "`{0}` cannot be the name of an account: write one line of at most {USER_NAME_BYTES_MAX} bytes, without spaces around it"
    )]
    Name(String),
    #[error("there is an account `{0}` already: `tollgate users passwd {0}` sets its password")]
    Taken(String),
    #[error("there is no account `{0}`; `tollgate users list` shows all")]
    Unknown(String),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("{0}; `--generate` makes a good one")]
    Fault(#[from] PasswordFault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being carried out.
pub(crate) fn run(args: &UsersArgs) -> anyhow::Result<ExitCode> {
    records::with(&args.records, async |records| {
        match records.issuer().map(|issuer| &issuer.sign_in) {
            None => return Err(UsersError::NoIssuer),
            Some(SignIn::Provider(provider)) => {
                return Err(UsersError::Elsewhere(provider.name.clone()));
            }
            Some(SignIn::Nobody) => return Err(UsersError::Nobody),
            Some(SignIn::Accounts) => {}
        }
        match &args.action {
            UsersAction::Add(new) => add(records, new).await,
            UsersAction::List => list(records).await,
            UsersAction::Passwd(how) => passwd(records, how).await,
            UsersAction::Lock(whose) => lock(records, &whose.name).await,
            UsersAction::Unlock(whose) => unlock(records, &whose.name).await,
            UsersAction::Remove(whose) => remove(records, &whose.name).await,
        }
    })
}

/// Adds an account.
///
/// # Errors
/// There is no password for it, or the name is taken.
pub(crate) async fn add(records: &Records, new: &AddUserArgs) -> Result<Told, UsersError> {
    let name = &new.name;
    let fits = name.len() <= USER_NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if !fits || name.is_empty() || name.trim() != name {
        return Err(UsersError::Name(on_one_line(name, 80)));
    }
    let users = &records.stores.users;
    // Before anybody types a password twice; who adds it at the same time is told below.
    if users.by_name(name).await?.is_some() {
        return Err(UsersError::Taken(name.clone()));
    }
    let password = password::get(&new.password, &records.entropy)?;
    let user = UserRecord {
        id: new_user_id(&records.entropy),
        name: name.clone(),
        password: hash_password(password.text(), &records.entropy)?,
        groups: new.groups.clone(),
        created: records.now,
        password_set: records.now,
        locked: None,
    };
    if users.add(user.clone()).await? == Err(Taken) {
        return Err(UsersError::Taken(name.clone()));
    }
    let mut text = format!("account `{name}` added\n");
    let mut value = value(&user);
    reveal(&mut text, &mut value, &password);
    let url = records.access().and_then(|access| access.doors.first());
    let url = url.map_or("URL", |door| door.resource.as_str());
    let _ = writeln!(text, "\nNext: connect an MCP client to {url}; it opens the page to sign in.");
    Ok(Told { text, value })
}

/// Shows a password that nobody but this command knows.
fn reveal(text: &mut String, value: &mut Value, password: &Password) {
    if let Password::MadeUp(password) = password {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "password  {password}\nShown this once: only its hash is kept.");
        value["password"] = password.as_str().into();
    }
}

async fn list(records: &Records) -> Result<Told, UsersError> {
    let users = records.stores.users.list().await?;
    let mut rows =
        vec![["NAME", "STATE", "ADDED", "PASSWORD SET", "GROUPS"].map(String::from).to_vec()];
    for user in &users {
        rows.push(vec![
            on_one_line(&user.name, 80),
            state(user).to_owned(),
            spell_minute(user.created),
            spell_minute(user.password_set),
            if user.groups.is_empty() { "-".to_owned() } else { user.groups.join(" ") },
        ]);
    }
    let text = match users.len() {
        0 => "no accounts yet: `tollgate users add NAME` adds one\n".to_owned(),
        _ => table(&rows),
    };
    Ok(Told { text, value: users.iter().map(value).collect() })
}

fn state(user: &UserRecord) -> &'static str {
    if user.locked.is_some() { "locked" } else { "active" }
}

fn value(user: &UserRecord) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "state": state(user),
        "groups": user.groups,
        "created": user.created,
        "password_set": user.password_set,
        "locked": user.locked,
    })
}

async fn known(records: &Records, name: &str) -> Result<UserRecord, UsersError> {
    let user = records.stores.users.by_name(name).await?;
    user.ok_or_else(|| UsersError::Unknown(on_one_line(name, 80)))
}

async fn passwd(records: &Records, how: &PasswdArgs) -> Result<Told, UsersError> {
    let mut user = known(records, &how.name).await?;
    let password = password::get(&how.password, &records.entropy)?;
    user.password = hash_password(password.text(), &records.entropy)?;
    user.password_set = records.now;
    if !records.stores.users.replace(user.clone()).await? {
        return Err(UsersError::Unknown(how.name.clone()));
    }
    let mut text = format!(
        "password of `{0}` set: browsers where they were signed in ask again\n\n\
         Next: what agents may do for them stays; `tollgate users lock {0}` ends that.\n",
        user.name
    );
    let mut value = value(&user);
    reveal(&mut text, &mut value, &password);
    Ok(Told { text, value })
}

/// What a person's tokens are revoked by.
fn subject(records: &Records, user: &UserRecord) -> Revocable {
    Revocable::Subject(records.issuer_name().unwrap_or_default(), user.id.clone())
}

async fn lock(records: &Records, name: &str) -> Result<Told, UsersError> {
    let mut user = known(records, name).await?;
    records.shut_out(subject(records, &user)).await?;
    user.locked = user.locked.or(Some(records.now));
    if !records.stores.users.replace(user.clone()).await? {
        return Err(UsersError::Unknown(name.to_owned()));
    }
    let grants = records.end_grants(None, Some(&user.id)).await?.len();
    let text = format!(
        "account `{0}` locked: a running gate ends their tokens within a second, and they cannot sign in\n\
         grants ended: {grants}\n\nNext: `tollgate users unlock {0}` lets them in again.\n",
        user.name
    );
    let mut value = value(&user);
    value["grants_ended"] = grants.into();
    Ok(Told { text, value })
}

async fn unlock(records: &Records, name: &str) -> Result<Told, UsersError> {
    let mut user = known(records, name).await?;
    user.locked = None;
    if !records.stores.users.replace(user.clone()).await? {
        return Err(UsersError::Unknown(name.to_owned()));
    }
    let revocations = &records.stores.revocations;
    revocations.restore(subject(records, &user)).await?;
    // Tokens from before they were locked stay void; nothing of them is left after that time.
    let what = subject(records, &user);
    let until = records.tokens_end();
    revocations.revoke(Revocation { what, before: records.now, until }).await?;
    let text = format!(
        "account `{}` unlocked\n\nNext: they sign in again; agents ask for their consent again.\n",
        user.name
    );
    Ok(Told { text, value: value(&user) })
}

async fn remove(records: &Records, name: &str) -> Result<Told, UsersError> {
    let user = known(records, name).await?;
    // Ids are never used again, so nothing has to be taken back later.
    records.shut_out_until(subject(records, &user), records.tokens_end()).await?;
    let grants = records.end_grants(None, Some(&user.id)).await?.len();
    if !records.stores.users.remove(name).await? {
        return Err(UsersError::Unknown(name.to_owned()));
    }
    let text = format!(
        "account `{}` removed: a running gate ends their tokens within a second\ngrants ended: {grants}\n",
        user.name
    );
    Ok(Told {
        text,
        value: json!({ "name": user.name, "state": "removed", "grants_ended": grants }),
    })
}
