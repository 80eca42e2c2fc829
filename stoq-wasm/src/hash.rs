//! SHA-256 piece by piece.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use wasm_bindgen::prelude::*;

/// SHA-256 over a stream of pieces, which the browser's own `crypto.subtle.digest` cannot do.
#[wasm_bindgen]
#[derive(Clone, Debug, Default)]
pub struct Sha256(stoq_core::Sha256);

#[wasm_bindgen]
impl Sha256 {
    /// The hash of nothing.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of what has been added so far, 32 bytes.
    pub fn digest(&self) -> Vec<u8> {
        self.0.clone().finish().to_vec()
    }

    /// The same in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.digest())
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
