//! Seeds as JavaScript sees them.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use js_sys::{Array, Uint8Array};
use stoq_core::frame::{Seed, SeedNode, SeedPriority};
use stoq_core::seeds::SeedEvent;
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::{js, session};

/// Reads the object that a page gave. What only a number can be wrong in is for the frame's own check.
pub(super) fn from_js(value: &JsValue) -> Result<Seed, Error> {
    if !value.is_object() {
        return Err(Error::argument("a seed must be an object"));
    }
    let content = js::get(value, "content");
    let content = content.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
    let content = content.and_then(|bytes| bytes.try_into().ok());
    let nodes = js::get(value, "nodes");
    let nodes = match nodes.dyn_ref::<Array>() {
        Some(nodes) => nodes.iter().map(|node| node_from_js(&node)).collect(),
        None => Err(Error::argument("nodes must be an array")),
    };
    Ok(Seed {
        content: content
            .ok_or_else(|| Error::argument("content must be a Uint8Array of 32 bytes"))?,
        replication: integer(value, "replication", u8::MAX.into())? as u8,
        priority: js::choice(value, "priority", &PRIORITIES)?,
        nodes: nodes?,
    })
}

fn node_from_js(node: &JsValue) -> Result<SeedNode, Error> {
    let text = |name| js::get(node, name).as_string().unwrap_or_default();
    let (id, at) = (text("id"), text("address"));
    Ok(SeedNode {
        id: id
            .parse()
            .map_err(|error| Error::argument(format!("id: \"{id}\" is no identity: {error}")))?,
        address: address(&at)
            .ok_or_else(|| Error::argument(format!("address: \"{at}\" is no IP address")))?,
        port: integer(node, "port", u16::MAX)?,
        // Those above 100 are refused with the frame.
        reliability: integer(node, "reliability", u8::MAX.into())? as u8,
    })
}

fn integer(object: &JsValue, name: &str, most: u16) -> Result<u16, Error> {
    match js::get(object, name).as_f64() {
        Some(number) if f64::from((number as u16).min(most)) == number => Ok(number as u16),
        _ => Err(Error::argument(format!(
            "{name} must be an integer from 0 to {most}"
        ))),
    }
}

/// An IPv4 address in its mapped form, an IPv6 one as it is. The standard library's own reading takes three times the code.
fn address(text: &str) -> Option<Ipv6Addr> {
    if !text.contains(':') {
        let mut octets = [0; 4];
        let mut parts = text.split('.');
        for octet in &mut octets {
            let part = parts.next()?;
            let plain = part.len() == 1 || !part.starts_with('0');
            let digits = plain && part.bytes().all(|byte| byte.is_ascii_digit());
            *octet = part.parse().ok().filter(|_| digits)?;
        }
        let whole = parts.next().is_none();
        return whole.then(|| Ipv4Addr::from(octets).to_ipv6_mapped());
    }
    let groups = |text: &str| -> Option<Vec<u16>> {
        let one = |group: &str| {
            let digits = group.len() <= 4 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
            u16::from_str_radix(group, 16).ok().filter(|_| digits)
        };
        match text {
            "" => Some(Vec::new()),
            _ => text.split(':').map(one).collect(),
        }
    };
    let mut all = [0; 8];
    match text.split_once("::") {
        None => all = groups(text)?.try_into().ok()?,
        Some((front, back)) => {
            let (front, back) = (groups(front)?, groups(back)?);
            // The gap stands for one group at least.
            if front.len() + back.len() > 7 {
                return None;
            }
            all[..front.len()].copy_from_slice(&front);
            all[8 - back.len()..].copy_from_slice(&back);
        }
    }
    Some(all.into())
}

pub(super) fn event_to_js(event: &SeedEvent) -> JsValue {
    let (kind, what, value) = match event {
        SeedEvent::Announced(seed) => ("announced", "seed", to_js(seed)),
        SeedEvent::Changed(seed) => ("changed", "seed", to_js(seed)),
        SeedEvent::Expired(content) => ("expired", "content", bytes(content)),
        SeedEvent::Dropped(content) => ("dropped", "content", bytes(content)),
    };
    js::object(&[("kind", kind.into()), (what, value)]).into()
}

fn to_js(seed: &Seed) -> JsValue {
    let priority = PRIORITIES.iter().find(|(_, one)| *one == seed.priority);
    let nodes: Array = seed.nodes.iter().map(node_to_js).collect();
    let seed = js::object(&[
        ("content", bytes(&seed.content)),
        ("replication", seed.replication.into()),
        ("priority", priority.map_or("", |(word, _)| word).into()),
        ("nodes", nodes.into()),
    ]);
    seed.into()
}

fn node_to_js(node: &SeedNode) -> JsValue {
    let node = js::object(&[
        ("id", node.id.to_string().into()),
        ("address", session::address(node.address).into()),
        ("port", node.port.into()),
        ("reliability", node.reliability.into()),
    ]);
    node.into()
}

fn bytes(bytes: &[u8; 32]) -> JsValue {
    Uint8Array::from(&bytes[..]).into()
}

/// The first is the default.
const PRIORITIES: [(&str, SeedPriority); 4] = [
    ("normal", SeedPriority::Normal),
    ("low", SeedPriority::Low),
    ("high", SeedPriority::High),
    ("critical", SeedPriority::Critical),
];
