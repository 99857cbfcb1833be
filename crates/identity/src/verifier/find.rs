//! Who can tell what a token is: the store, the keys of the issuer it names, or issuers that are
//! asked. Nothing is remembered here, and no door's demands are looked at.

use super::Verifier;
use crate::api_key::{self, Circumstances};
use crate::bearer;
use crate::denied::Denied;
use crate::doors::ReadyDoor;
use crate::finding::{Outcome, Refused};
use crate::introspection;
use crate::issuer::{TrustedIssuer, Way};
use crate::remembered::Key;
use crate::settings::IdentitySettings;
use serde_json::Value;
use std::sync::Arc;
use tollgate_core::principal::Credential;
use tollgate_oauth::jwt::Jwt;

impl Verifier {
    /// What the token proves.
    pub(super) async fn find(&self, door: &ReadyDoor, key: Key, token: &str) -> Outcome {
        let now = self.clock.unix_secs();
        if api_key::is_one(token) {
            let Some(api_keys) = &self.api_keys else {
                return Err(
                    Denied::invalid("API keys are not accepted here: use an access token").into()
                );
            };
            let at = Circumstances {
                path: &door.facts.path,
                now,
                believed: self.settings.believed,
                store_eras: &self.shared.revoked.store_eras,
            };
            return self.shared.flights.once(key, api_keys.find(token, &at)).await;
        }
        let IdentitySettings { leeway, believed, .. } = self.settings;
        if let Ok(jwt) = Jwt::read(token)
            && let Some(named) = jwt.claims().value("iss").and_then(Value::as_str)
        {
            // SPEC: RFC 9207 section 2.4, RFC 8725 section 3.8: issuers are compared as strings.
            let issuer = door.issuers.iter().find(|issuer| issuer.url() == named);
            let Some(issuer) = issuer else { return Err(self.nobodys(now)) };
            if let Way::Jwt(keys) = issuer.way() {
                let at = bearer::Judging { resource: &door.resource, now, leeway, believed };
                return bearer::judge(issuer, keys, &jwt, &at).await;
            }
            return self.ask(door, &[issuer], key, token).await;
        }
        let opaque: Vec<&Arc<TrustedIssuer>> =
            door.issuers.iter().filter(|issuer| matches!(issuer.way(), Way::Opaque(_))).collect();
        if opaque.is_empty() {
            return Err(self.nobodys(now));
        }
        self.ask(door, &opaque, key, token).await
    }

    /// Asks issuers about a token, in their order: the first that knows it decides.
    async fn ask(
        &self,
        door: &ReadyDoor,
        issuers: &[&Arc<TrustedIssuer>],
        key: Key,
        token: &str,
    ) -> Outcome {
        let asking = async {
            let now = self.clock.unix_secs();
            let mut refused = self.nobodys(now);
            for issuer in issuers {
                let Way::Opaque(introspector) = issuer.way() else { continue };
                let reading = issuer.reading(Credential::Opaque, self.settings.leeway);
                let at = introspection::Judging { reading, resource: &door.resource, now };
                match introspector.judge(token, &at).await {
                    Ok(finding) => return Ok(finding),
                    // Somebody who might know it could not be asked: then nobody says it is bad.
                    Err(one) if matches!(refused.denied, Denied::Unavailable { .. }) => drop(one),
                    Err(one) => refused = one,
                }
            }
            Err(refused)
        };
        self.shared.flights.once(key, asking).await
    }

    fn nobodys(&self, now: u64) -> Refused {
        let why = "the token is of no issuer that is accepted here: see the resource metadata";
        Refused::in_era(Denied::invalid(why), self.shared.eras.now(), now)
    }
}
