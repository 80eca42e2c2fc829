//! What a page may choose of a verified stream.

use alloc::format;
use alloc::vec::Vec;
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
    /// Whether an answer may end although it is to less than was sent.
    pub(crate) partial: bool,
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
        // The first is the default: with it, a page that does not look at the state does no harm.
        let words = [
            ("verified", Delivery::Verified),
            ("pending", Delivery::Pending),
        ];
        let delivery = js::choice(value, "delivery", &words)?;
        let is_chosen = !js::get(value, "delivery").is_undefined();
        if origins.is_empty() && delivery == Delivery::Verified && is_chosen {
            let message =
                "delivery: nothing is ever verified without origins, whose signatures would do it";
            return Err(Error::argument(message));
        }
        let words = [
            ("blake3", TokenAlgorithm::BLAKE3),
            ("sha-256", TokenAlgorithm::SHA256),
        ];
        let algorithm = js::choice(value, "algorithm", &words)?;
        let given = js::get(value, "partialAnswers");
        let partial = match given.is_undefined() {
            true => false,
            false => (given.as_bool())
                .ok_or_else(|| Error::argument("partialAnswers must be true or false"))?,
        };
        Ok(Self {
            origins,
            algorithm,
            delivery,
            partial,
        })
    }
}
