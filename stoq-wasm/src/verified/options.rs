//! What a page may choose of a verified stream.

use stoq_core::FalconId;
use stoq_core::channel::Delivery;
use stoq_core::frame::TokenAlgorithm;
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::{js, pins};

/// The `VerifiedOptions` of JavaScript.
pub(crate) struct Options {
    pub(crate) origins: Vec<FalconId>,
    pub(crate) algorithm: TokenAlgorithm,
    pub(crate) delivery: Delivery,
}

impl Options {
    /// Reads the object that a page gave; `undefined` stands for the defaults.
    pub(crate) fn from_js(value: &JsValue) -> Result<Self, Error> {
        js::options_argument(value)?;
        let origins = match js::get(value, "origins") {
            none if none.is_undefined() => Vec::new(),
            given => pins::identities(&given)
                .map_err(|why| Error::argument(format!("origins: {why}")))?,
        };
        let delivery = js::choice(
            value,
            "delivery",
            &[
                ("pending", Delivery::Pending),
                ("verified", Delivery::Verified),
            ],
        )?;
        if origins.is_empty() && delivery == Delivery::Verified {
            let message =
                "delivery: nothing is ever verified without origins, whose signatures would do it";
            return Err(Error::argument(message));
        }
        let algorithm = js::choice(
            value,
            "algorithm",
            &[
                ("blake3", TokenAlgorithm::BLAKE3),
                ("sha-256", TokenAlgorithm::SHA256),
            ],
        )?;
        Ok(Self {
            origins,
            algorithm,
            delivery,
        })
    }
}
