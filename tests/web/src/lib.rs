//! The conformance bodies in a browser: they call the npm package as any page does, through its JavaScript classes; nothing of
//! the SDK is linked in here. And core's FALCON-1024 vectors, for browsers and for Node.
#![cfg(target_arch = "wasm32")]

mod sdk;

use sdk::Client;
use wasm_bindgen::prelude::*;

/// Names of all behaviours.
#[wasm_bindgen]
pub fn names() -> Vec<String> {
    stoq_conformance::NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .collect()
}

/// Runs one behaviour against the gateway at `https://host:port`. Resolves with nothing, or rejects with
/// what was expected and what came.
///
/// # Errors
/// The text of the failure.
#[wasm_bindgen]
pub async fn run(name: String, gateway: String, certificate_hash: String) -> Result<(), JsValue> {
    let client = Client::new(gateway, &certificate_hash)?;
    stoq_conformance::run(&name, &client)
        .await
        .map_err(|text| JsValue::from_str(&text))
}

/// Checks all FALCON-1024 vectors, and says how many of each kind there were.
///
/// # Errors
/// The text of the failure.
#[wasm_bindgen(js_name = falconVectors)]
pub fn falcon_vectors() -> Result<String, JsValue> {
    match stoq_conformance::falcon_vectors::check() {
        Ok(counts) => Ok(counts.to_string()),
        Err(text) => Err(JsValue::from_str(&text)),
    }
}
