//! The relays that a session passes, as JavaScript sees them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use js_sys::{Array, Object};
use stoq_core::hops::{HopChain, PassedHop};
use wasm_bindgen::prelude::*;
use web_sys::Url;

use crate::js;

/// The relays between this end and the target, the first one passed first; none if there is no chain.
pub(super) fn to_js(chain: Option<&HopChain>) -> JsValue {
    let hops = Array::new();
    for hop in chain.iter().flat_map(|chain| &chain.hops) {
        hops.push(&hop_to_js(hop));
    }
    Object::freeze(&hops).into()
}

fn hop_to_js(hop: &PassedHop) -> JsValue {
    let metadata = Array::new();
    for (key, value) in &hop.metadata {
        metadata.push(&Array::of2(&key.into(), &value.into()));
    }
    js::frozen(&[
        ("id", hop.id.to_string().into()),
        ("address", address(hop.address).into()),
        ("port", hop.port.into()),
        ("timestamp", js::date(hop.timestamp)),
        ("metadata", metadata.into()),
    ])
}

/// An IPv4 address in its own form, any other in the short form that the URL standard gives it.
pub(crate) fn address(address: Ipv6Addr) -> String {
    if let Some(address) = address.to_ipv4_mapped() {
        let [a, b, c, d] = address.octets();
        return format!("{a}.{b}.{c}.{d}");
    }
    let groups: Vec<_> = address
        .segments()
        .iter()
        .map(|group| format!("{group:x}"))
        .collect();
    let long = groups.join(":");
    // The standard library's own form takes 2 KB of code, and the browser has it anyway.
    let url = Url::new(&["https://[", &long, "]"].concat());
    let short = url.map(|url| url.hostname());
    short.map_or(long, |short| short.replace(['[', ']'], ""))
}
