//! The service that wants an access token, and the relay that leads to it.
//!
//! ```text
//! page ── gateway ── files, which lets everybody in that the gateway does
//!            └────── relay ── files, which wants a token for itself
//! ```
//!
//! Both are called `files`, so a page that wants the second one names the relay.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Parts, address_and_id, command_of, falcon_id};
use crate::process::{line, output};

/// How to get there.
pub(super) struct Guarded {
    pub(super) relay_id: String,
    pub(super) relay_address: String,
    /// Issues a token; the holder's key comes behind it.
    pub(super) issue: String,
}

impl Guarded {
    /// What the page reads of it.
    pub(super) fn for_page(&self) -> String {
        let Self {
            relay_id, issue, ..
        } = self;
        serde_json::json!({ "service": SERVICE, "route": [relay_id], "issue": issue }).to_string()
    }
}

/// Starts both, for a gateway with this identity. The keys stay from one demo to the next, and with them the tokens are good.
pub(super) fn start(
    programs: &Path,
    folder: &Path,
    gateway: &str,
    parts: &mut Parts,
) -> Result<Guarded> {
    let key = |name: &str| folder.join(format!("{name}.falcon.pem"));
    let (issuer, public) = (key("issuer"), folder.join("issuer.pub.pem"));
    falcon_id(programs, &issuer)?;
    let shown = output(&mut command_of(
        programs,
        "stoq",
        &["id", "--public"],
        &issuer,
    ))?;
    fs::write(&public, shown)?;
    let id = falcon_id(programs, &key("guarded"))?;
    let relay_id = falcon_id(programs, &key("relay"))?;

    let flags = ["serve", "--listen", "127.0.0.1:0", "--falcon-key"];
    let mut service = command_of(programs, "stoq", &flags, &key("guarded"));
    service.args([
        "--client",
        &relay_id,
        "--access",
        &format!("{SERVICE}={PERMISSION}"),
    ]);
    service.arg("--issuer").arg(&public);
    let files = folder.join("guarded");
    fs::create_dir_all(&files)?;
    service.arg("--dir").arg(&files);
    let [listening] = parts.start("guarded service", service, ["listening on "])?;
    let (address, _) = address_and_id(&listening)?;

    let flags = ["relay", "--listen", "127.0.0.1:0", "--falcon-key"];
    let mut relay = command_of(programs, "stoq", &flags, &key("relay"));
    relay.args([
        "--client",
        gateway,
        "--service",
        &format!("{SERVICE}={id}@{address}"),
    ]);
    let [listening] = parts.start("relay", relay, ["listening on "])?;
    let (relay_address, _) = address_and_id(&listening)?;

    let mut issue = command_of(programs, "stoq", &["token", "issue", "--key"], &issuer);
    issue.args(["--subject", "demo", "--audience", &id, "--service", SERVICE]);
    issue.args(["--permission", PERMISSION, "--life", "1h"]);
    Ok(Guarded {
        relay_address: relay_address.to_owned(),
        relay_id,
        issue: line(&issue),
    })
}

/// As the files of the other one: what the page can speak to.
const SERVICE: &str = "files";
/// To look, and not to store.
const PERMISSION: &str = "read";
