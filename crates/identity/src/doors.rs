//! Doors, made ready: what a route says about itself and whose tokens it takes.

use crate::denied::IdentityError;
use crate::issuer::TrustedIssuer;
use crate::settings::Door;
use bytes::Bytes;
use std::sync::Arc;
use tollgate_oauth::metadata;
use tollgate_oauth::resource::Resource;

/// A door of a [`crate::Verifier`]: its index among those the verifier was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DoorId(pub usize);

/// What a door tells everybody (RFC 9728).
#[derive(Clone, Debug)]
pub struct DoorFacts {
    /// The path of the route.
    pub path: String,
    /// Its resource identifier, in canonical form.
    pub resource: String,
    /// The path of its metadata document.
    pub metadata_path: String,
    /// The URL of its metadata document: what challenges point at.
    pub metadata_url: String,
    /// Its metadata document: JSON.
    pub metadata: Bytes,
    /// Scopes every token must carry.
    pub scopes: Vec<String>,
    /// Those, and the others its metadata names.
    pub offered: Vec<String>,
}

/// A door with everything that is needed to judge at it.
#[derive(Debug)]
pub(crate) struct ReadyDoor {
    pub(crate) facts: DoorFacts,
    pub(crate) resource: Resource,
    /// Those it accepts, in the order of the configuration.
    pub(crate) issuers: Vec<Arc<TrustedIssuer>>,
    /// Differs between doors that judge differently: what was remembered at one is unknown at the
    /// other.
    pub(crate) serial: u64,
    door: Door,
}

impl ReadyDoor {
    /// Makes a door ready. `serial` is asked for one that judges as no other does.
    pub(crate) fn open(
        door: &Door,
        issuers: &[Arc<TrustedIssuer>],
        previous: &[Self],
        serial: impl FnOnce() -> u64,
    ) -> Result<Self, IdentityError> {
        let resource = Resource::parse(&door.resource).map_err(|why| IdentityError::Resource {
            path: door.path.clone(),
            resource: door.resource.clone(),
            why: why.to_string(),
        })?;
        let accepted = accepted(door, issuers)?;
        let same = previous.iter().find(|before| {
            before.door == *door
                && before.issuers.len() == accepted.len()
                && before.issuers.iter().zip(&accepted).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        let urls: Vec<String> = accepted.iter().map(|issuer| issuer.url().to_owned()).collect();
        let mut offered = door.scopes.clone();
        offered.extend(door.offered.iter().filter(|it| !door.scopes.contains(it)).cloned());
        let document = metadata::protected_resource(resource.as_str(), &urls, &offered, None);
        Ok(Self {
            facts: DoorFacts {
                path: door.path.clone(),
                resource: resource.as_str().to_owned(),
                metadata_path: resource.well_known(),
                metadata_url: resource.metadata_url(),
                metadata: Bytes::from(document.to_string()),
                scopes: door.scopes.clone(),
                offered,
            },
            serial: same.map_or_else(serial, |before| before.serial),
            resource,
            issuers: accepted,
            door: door.clone(),
        })
    }
}

fn accepted(
    door: &Door,
    issuers: &[Arc<TrustedIssuer>],
) -> Result<Vec<Arc<TrustedIssuer>>, IdentityError> {
    if door.issuers.is_empty() {
        return Ok(issuers.to_vec());
    }
    let known = |name: &&String| issuers.iter().any(|issuer| issuer.name() == name.as_str());
    if let Some(name) = door.issuers.iter().find(|name| !known(name)) {
        let (path, name) = (door.path.clone(), name.clone());
        return Err(IdentityError::UnknownIssuer { path, name });
    }
    let is_named = |issuer: &&Arc<TrustedIssuer>| door.issuers.iter().any(|n| n == issuer.name());
    Ok(issuers.iter().filter(is_named).cloned().collect())
}
