//! Between client and server: loopback, or a pair of network namespaces with a cable (veth) between them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, id};

use anyhow::{Context as _, Result, bail};

use crate::child::Place;

pub(crate) struct Path {
    name: &'static str,
    /// Longest UDP payload that passes.
    longest: u16,
    server: Place,
    client: Place,
    /// Removes what was made for it.
    made: Option<Namespaces>,
}

impl Path {
    pub(crate) fn loopback() -> Self {
        let place = || Place {
            address: Ipv4Addr::LOCALHOST.into(),
            namespace: None,
        };
        Self {
            name: "loopback",
            // The most that IPv4 carries; the interface's own MTU is larger.
            longest: 65_507,
            server: place(),
            client: place(),
            made: None,
        }
    }

    /// Two namespaces with jumbo frames between them. Needs root and `ip` (iproute2).
    pub(crate) fn veth() -> Result<Self> {
        let made = Namespaces::make()?;
        let place = |end: usize| Place {
            address: IpAddr::V4(ADDRESSES[end]),
            namespace: Some(made.0[end].clone()),
        };
        Ok(Self {
            name: "veth",
            longest: MTU - 28,
            server: place(0),
            client: place(1),
            made: Some(made),
        })
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn is_loopback(&self) -> bool {
        self.made.is_none()
    }

    pub(crate) const fn longest(&self) -> u16 {
        self.longest
    }

    pub(crate) const fn server(&self) -> &Place {
        &self.server
    }

    pub(crate) const fn client(&self) -> &Place {
        &self.client
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Jumbo frames, as data centres have.
const MTU: u16 = 9000;

/// For documentation (RFC 5737), so nobody else's here.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// Named with the process id, so that the next run knows whose they were.
struct Namespaces([String; 2]);

const PREFIX: &str = "stoq-peers-";

impl Namespaces {
    fn make() -> Result<Self> {
        remove_leftovers()?;
        let made = Self(["a", "b"].map(|end| format!("{PREFIX}{}-{end}", id())));
        for name in &made.0 {
            ip(&["netns", "add", name])?;
        }
        let [a, b] = &made.0;
        let mtu = MTU.to_string();
        let near = [
            "link", "add", "cable", "mtu", &mtu, "netns", a, "type", "veth",
        ];
        let far = ["peer", "name", "cable", "mtu", &mtu, "netns", b];
        ip(&[&near[..], &far[..]].concat())?;
        for (name, address) in made.0.iter().zip(ADDRESSES) {
            let address = format!("{address}/30");
            ip(&["-n", name, "address", "add", &address, "dev", "cable"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
            ip(&["-n", name, "link", "set", "cable", "up"])?;
        }
        Ok(made)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.0 {
            if let Err(error) = ip(&["netns", "delete", name]) {
                eprintln!("{name} is left: {error:#}");
            }
        }
    }
}

/// Those of runs that were killed.
fn remove_leftovers() -> Result<()> {
    let all = ip(&["netns", "list"])?;
    for name in all.lines().filter_map(|line| line.split(' ').next()) {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'));
        if let Some((owner, _)) = owner
            && !std::path::Path::new("/proc").join(owner).exists()
        {
            ip(&["netns", "delete", name])?;
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.context("cannot start `ip` (iproute2)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`ip {}`: {}", arguments.join(" "), said.trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}
