//! Reading a key set never panics, and what is published of it again is the same set, with nothing
//! private in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

fuzz_target!(|document: &[u8]| {
    if let Ok(keys) = KeySet::parse(document) {
        let published = keys.to_json();
        let again = KeySet::parse(published.to_string().as_bytes()).expect("a key set");
        assert_eq!(again.to_json(), published);
        assert_eq!(again.len(), keys.len());
        for key in published["keys"].as_array().expect("keys") {
            assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|name| key[name].is_null()));
        }
    }
    if let Ok(pem) = std::str::from_utf8(document) {
        for alg in Alg::ALL {
            let _taken = SigningKey::from_pem(None, alg, pem).is_ok();
            let _taken = SigningKey::from_pkcs8("k", alg, document).is_ok();
        }
    }
});
