//! What a page may choose of one session.

use alloc::format;
use alloc::vec::Vec;
use stoq_core::frame::Route;
use stoq_core::session::{Config, Side};
use stoq_core::{FalconId, ServiceName};
use wasm_bindgen::prelude::*;

use crate::access::Credentials;
use crate::error::Error;
use crate::{js, pins};

/// The `ConnectOptions` of JavaScript.
#[derive(Default)]
pub(crate) struct Request {
    /// The relays to pass behind the gateway.
    route: Vec<FalconId>,
}

impl Request {
    /// Reads the object that a page gave; `undefined` stands for the defaults.
    pub(crate) fn from_js(value: &JsValue) -> Result<Self, Error> {
        js::options_argument(value)?;
        let route = match js::get(value, "route") {
            none if none.is_undefined() => Vec::new(),
            given => {
                let route = pins::identities(&given);
                route.map_err(|why| Error::argument(format!("route: {why}")))?
            }
        };
        let most = Route::MAX_COUNT;
        if route.len() > most {
            let message = format!("route: {} relays, at most {most} can be named", route.len());
            return Err(Error::argument(message));
        }
        Ok(Self { route })
    }

    /// What the session is begun with.
    pub(crate) fn config(
        self,
        service: ServiceName,
        random: [u8; 32],
        credentials: &Credentials,
    ) -> Config {
        let mut config = Config::new(Side::Client, random);
        config.service = Some(service);
        config.route = self.route;
        config.access_tokens.clone_from(&credentials.tokens);
        config.holders = credentials.proofs.iter().map(|(token, _)| *token).collect();
        config
    }
}
