//! The listeners: whether their ports are free, or taken by the gate itself, and who can reach them.

use crate::config::Checked;
use crate::doctor::finding::Finding;
use crate::front;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tollgate_core::bounds::MIB;
use tollgate_gate::settings::IdentitySettings;

/// Time for the answer of another gate on this machine.
const ASK_SECS: u64 = 3;

/// Looks at both listeners.
pub(super) async fn examine(checked: &Checked) -> Vec<Finding> {
    let running = running(checked.admin).await;
    let gate = checked.settings.listen;
    let mut findings = vec![
        port("gate.listen", gate, running.as_ref(), &checked.settings.version).await,
        port("admin.listen", checked.admin, running.as_ref(), &checked.settings.version).await,
    ];
    if !checked.admin.ip().is_loopback() {
        let text =
            format!("{} is reachable from other machines and asks for no password", checked.admin);
        findings.push(
            Finding::warn("admin.listen", &text)
                .advise("listen on 127.0.0.1, or let a firewall keep others out"),
        );
    }
    if checked.settings.identity == IdentitySettings::Off && !gate.ip().is_loopback() {
        let text = format!("{gate} serves anonymous callers from other machines, as written");
        findings.push(Finding::warn("gate.listen", &text).advise("keep it in a network you trust"));
    }
    findings
}

async fn port(
    subject: &str,
    address: SocketAddr,
    running: Option<&Running>,
    version: &str,
) -> Finding {
    if address.port() == 0 {
        return Finding::ok(subject, &format!("{address}: the system chooses the port"));
    }
    let error = match TcpListener::bind(address).await {
        Ok(_free) => return Finding::ok(subject, &format!("{address} is free")),
        Err(error) => error,
    };
    match (error.kind(), running) {
        (ErrorKind::AddrInUse, Some(running)) if running.configuration == version => {
            Finding::ok(subject, &format!("{address} is served by a gate with this configuration"))
        }
        (ErrorKind::AddrInUse, Some(running)) => {
            let text = format!(
                "{address} is served by a gate with another version of the configuration ({})",
                running.configuration
            );
            let advice = match &running.reload_error {
                Some(_) => "it refused this one: its log says why",
                None => "is it the right file? the gate follows changes of its own",
            };
            Finding::warn(subject, &text).advise(advice)
        }
        (ErrorKind::AddrInUse, None) => {
            Finding::fail(subject, &format!("{address} is taken by another program"))
                .advise("`ss -ltnp` shows which; stop it, or choose another port")
        }
        (ErrorKind::PermissionDenied, _) => {
            Finding::fail(subject, &format!("{address}: permission denied"))
                .advise("ports below 1024 need a privilege (`CAP_NET_BIND_SERVICE`)")
        }
        (ErrorKind::AddrNotAvailable, _) => {
            Finding::fail(subject, &format!("{address} is no address of this machine"))
                .advise("`ip addr` lists them")
        }
        _ => Finding::fail(subject, &format!("{address}: {error}")),
    }
}

/// A gate that runs already.
struct Running {
    configuration: String,
    reload_error: Option<String>,
}

/// Asks the admin listener who it is; `None` where no gate answers.
async fn running(admin: SocketAddr) -> Option<Running> {
    let address = front::reachable(admin)?;
    let asking = tokio::time::timeout(Duration::from_secs(ASK_SECS), status(address));
    let status = asking.await.ok()??;
    Some(Running {
        configuration: status["configuration"].as_str()?.to_owned(),
        reload_error: status["reload_error"].as_str().map(str::to_owned),
    })
}

async fn status(address: SocketAddr) -> Option<Value> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET /status HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let limit = u64::try_from(16 * MIB).unwrap_or(u64::MAX);
    stream.take(limit).read_to_end(&mut answer).await.ok()?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    serde_json::from_slice(&answer[body..]).ok()
}
