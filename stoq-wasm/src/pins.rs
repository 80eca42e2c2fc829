//! Who may speak for which gateway.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use js_sys::{Array, Map, Object};
use stoq_core::FalconId;
use wasm_bindgen::prelude::*;

use crate::authority;
use crate::error::Error;

/// What a page pinned: for each gateway, by authority, the identities that may sign its endpoint record.
#[derive(Debug)]
pub(crate) struct Pins(Vec<(String, Vec<FalconId>)>);

impl Pins {
    /// Reads the object that a page gave. Two spellings of one authority are added together.
    pub(crate) fn from_js(value: &JsValue) -> Result<Self, Error> {
        let object = value.dyn_ref::<Object>().filter(|object| {
            // What these hold would be read as something else, or not be seen.
            !Array::is_array(object) && !object.has_type::<Map>()
        });
        let object = object.ok_or_else(|| {
            Error::argument("pins must be an object of host:port and FALCON identities")
        })?;
        let mut pins: Vec<(String, Vec<FalconId>)> = Vec::new();
        for entry in Object::entries(object) {
            let entry: Array = entry.unchecked_into();
            let key = entry.get(0).as_string().unwrap_or_default();
            let wrong = |why: &str| Error::argument(format!("pins[\"{key}\"]: {why}"));
            let authority = authority::parse(&key).ok_or_else(|| wrong(SHAPE))?;
            let ids = identities(&entry.get(1)).map_err(|why| wrong(&why))?;
            match pins.iter_mut().find(|(known, _)| *known == authority) {
                Some((_, known)) => known.extend(ids),
                None => pins.push((authority, ids)),
            }
        }
        Ok(Self(pins))
    }

    /// Who may speak for this gateway; empty if nobody may.
    pub(crate) fn of(&self, authority: &str) -> &[FalconId] {
        let entry = self.0.iter().find(|(known, _)| known == authority);
        entry.map_or(&[], |(_, ids)| ids)
    }
}

/// One identity as text, or an array of them.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn identities(value: &JsValue) -> Result<Vec<FalconId>, String> {
    let one = |value: JsValue| {
        let text = value.as_string().ok_or(NO_IDENTITY)?;
        text.parse()
            .map_err(|error| format!("\"{text}\" is none: {error}"))
    };
    match value.dyn_ref::<Array>() {
        Some(many) => many.iter().map(one).collect(),
        None => Ok(vec![one(value.clone())?]),
    }
}

/// What an authority looks like.
pub(crate) const SHAPE: &str = "a gateway is named by host:port";
const NO_IDENTITY: &str = "a FALCON identity, or an array of them, is text that begins with stoq1";
