//! Checks of what faces agents and the operator: addresses, names, certificates, caps.
//!
//! Without names to be called by, the gate listens on loopback only. Next: `identity.rs` for the rule that
//! matters most, who may call.

use crate::config::checking::identity;
use crate::config::checking::{Pem, at_most, in_range, pem_file, size_in_range};
use crate::config::decode::Set;
use crate::config::raw::{Gate, GateTls, Root};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::scalars::Address;
use crate::config::values::{ClientAuth, is_loopback};
use std::net::SocketAddr;
use tollgate_core::bounds::{KIB, MIB};
use tollgate_gate::settings::{ClientCertificates, Limits, NamePolicy, TlsSettings};

/// Names by which a client on this machine calls the gate.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

pub(super) fn names(raw: &Root, reading: &mut Reading<'_>) -> NamePolicy {
    let gate = &raw.gate.value;
    let local = is_local(&gate.listen);
    let origins = gate.origins.value.0.iter().map(|origin| origin.value.0.clone()).collect();
    if let Some(list) = gate.hosts.given() {
        if list.value.0.is_empty() {
            reading.wrong(
                &list.at,
                "`gate.hosts` is empty, so no request could be served",
                "name the hosts clients use, or remove the key",
            );
        }
        if let Some(any) = list.value.0.iter().find(|host| host.value.0 == "*") {
            reading.warn(
                &any.at,
                "`*` accepts any Host, which leaves browsers on this network open to DNS rebinding",
            );
        }
        return NamePolicy {
            hosts: list.value.0.iter().map(|host| host.value.0.clone()).collect(),
            origins,
        };
    }
    let public = gate.public_url.given().and_then(|url| url.value.0.host_str());
    let nameless = !local && gate.hosts.is_absent() && gate.public_url.is_absent();
    if let Some(at) = gate.listen.at.as_ref().filter(|_| nameless) {
        let message = format!(
            "`gate.listen` is {}, but the gate does not know the names it is called by",
            gate.listen.value.0
        );
        reading.wrong(
            at,
            message,
            "add `public_url: \"https://mcp.example.com\"` or `hosts: [mcp.example.com]` to `gate`",
        );
    }
    let loopback = LOOPBACK_NAMES.into_iter().filter(|_| local);
    NamePolicy { hosts: public.into_iter().chain(loopback).map(str::to_owned).collect(), origins }
}

pub(super) fn listeners(raw: &Root, reading: &mut Reading<'_>) {
    let (gate, admin) = (&raw.gate.value.listen, &raw.admin.value.listen);
    if let Some(at) =
        admin.at.as_ref().filter(|_| !is_local(admin) && !raw.admin.value.exposed.value.0)
    {
        let message = format!(
            "`admin.listen` is {}, which others can reach, and it asks for no password",
            admin.value.0
        );
        reading.wrong(at, message, "listen on 127.0.0.1, or add `exposed: true` to `admin` where the network itself keeps others out");
    }
    if overlap(gate.value.0, admin.value.0) {
        let message = format!(
            "`gate.listen` ({}) and `admin.listen` ({}) are the same place",
            gate.value.0, admin.value.0
        );
        let at = admin.at.as_ref().or(gate.at.as_ref());
        reading.wrong(
            at.unwrap_or(&Pos::default()),
            message,
            "give `admin.listen` a port of its own",
        );
    }
}

pub(super) fn public_url(raw: &Root, reading: &mut Reading<'_>) {
    let gate = &raw.gate.value;
    let clear = gate.tls.is_absent();
    let Some(public) = gate.public_url.given() else {
        if let Some(at) = gate.listen.at.as_ref().filter(|_| clear && !is_local(&gate.listen)) {
            reading.warn(
                at,
                "the gate serves clear text to others: add `gate.tls`, or put TLS in front of it",
            );
        }
        return;
    };
    let url = &public.value.0;
    if url.query().is_some() {
        reading.wrong(&public.at, "`gate.public_url` has a query", "remove the part from `?` on");
    }
    if url.scheme() != "http" {
        return;
    }
    if !clear {
        reading.wrong(
            &public.at,
            "`gate.public_url` says `http`, but the gate serves TLS",
            "write `https://`",
        );
    } else if !is_loopback(url) && !identity::is_required(raw) {
        reading.warn(
            &public.at,
            "agents are told to use clear text: with TLS in front of the gate, write `https://`",
        );
    }
}

pub(super) fn tls(raw: &GateTls, at: &Pos, reading: &mut Reading<'_>) -> Option<TlsSettings> {
    let cert = pem_file(raw.cert.given(), Pem::Certificates, reading);
    let key = pem_file(raw.key.given(), Pem::PrivateKey, reading);
    let client_ca = pem_file(raw.client_ca.given(), Pem::Certificates, reading);
    if raw.client_ca.is_absent() && raw.client_auth.given().is_some() {
        reading.wrong(
            at,
            "`gate.tls.client_auth` needs `client_ca`",
            "add `client_ca` with the PEM file of the authority that signs client certificates",
        );
    }
    let mode = raw.client_auth.given().map_or(ClientAuth::Required, |mode| mode.value);
    let client = match (client_ca, mode) {
        (None, _) => ClientCertificates::Off,
        (Some(ca), ClientAuth::Optional) => ClientCertificates::Optional(ca),
        (Some(ca), ClientAuth::Required) => ClientCertificates::Required(ca),
    };
    Some(TlsSettings { cert: cert?, key: key?, client })
}

pub(super) fn limits(gate: &Gate, reading: &mut Reading<'_>) -> Limits {
    let (caps, times) = (&gate.limits.value, &gate.timeouts.value);
    size_in_range(&caps.request_bytes, "gate.limits.request_bytes", KIB..=256 * MIB, reading);
    size_in_range(&caps.reply_bytes, "gate.limits.reply_bytes", KIB..=1024 * MIB, reading);
    in_range(&caps.json_depth, "gate.limits.json_depth", 8..=128, reading);
    in_range(&caps.connections, "gate.limits.connections", 1..=1_000_000, reading);
    in_range(&caps.streams_per_caller, "gate.limits.streams_per_caller", 1..=1_000_000, reading);
    at_most(
        &times.body_pause,
        &times.body,
        ["gate.timeouts.body_pause", "gate.timeouts.body"],
        reading,
    );
    Limits {
        request_bytes_max: caps.request_bytes.value.0,
        reply_bytes_max: caps.reply_bytes.value.0,
        json_depth_max: u16::try_from(caps.json_depth.value.0).unwrap_or(u16::MAX),
        connections_max: caps.connections.value.0,
        streams_per_caller_max: caps.streams_per_caller.value.0,
        head: times.head.value.0,
        body: times.body.value.0,
        body_pause: times.body_pause.value.min(times.body.value).0,
        handshake: times.handshake.value.0,
        keepalive: times.keepalive.value.0,
        write_stall: times.write_stall.value.0,
        stream_keepalive: times.stream_keepalive.value.0,
    }
}

pub(super) fn is_local(listen: &Set<Address>) -> bool {
    listen.value.0.ip().is_loopback()
}

/// Whether two listeners would meet. Port 0 is a different free port each time.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let any = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || any)
}
