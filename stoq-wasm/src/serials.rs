//! The highest serial seen of each gateway's endpoint record, so that an old record is not taken for a new one.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use js_sys::{Function, Object, Promise};
use stoq_core::Code;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Storage;

use crate::error::Error;
use crate::js;
use crate::line::{Line, Turn};
use crate::runtime::Global;

/// Where the serials are kept: decimal digits, under the key that [`key`] makes.
pub(crate) enum Serials {
    /// In `localStorage`; where there is none, or it refuses, in the module, for as long as the page lives.
    Here,
    /// In an object of the page's.
    Given(Box<Given>),
}

/// See [`Serials::Given`].
pub(crate) struct Given {
    store: Object,
    get: Function,
    set: Function,
    users: Rc<Line>,
}

impl Serials {
    /// Reads what a page gave; `undefined` stands for the default.
    pub(crate) fn from_js(value: &JsValue) -> Result<Self, Error> {
        if value.is_undefined() {
            return Ok(Self::Here);
        }
        let method = |name| js::get(value, name).dyn_into::<Function>().ok();
        match (value.dyn_ref::<Object>(), method("get"), method("set")) {
            (Some(store), Some(get), Some(set)) => Ok(Self::Given(Box::new(Given {
                store: store.clone(),
                get,
                set,
                users: users(store),
            }))),
            _ => Err(Error::argument(
                "serials must be an object with the methods get and set",
            )),
        }
    }

    /// Keeps other connects of this module, whichever client's, from changing what is read until it has been written. The
    /// default needs none: it never waits.
    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        match self {
            Self::Here => None,
            Self::Given(given) => Some(given.users.turn().await),
        }
    }

    /// The serial that is kept, if there is one.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<u64>, Error> {
        match self {
            Self::Here => Ok(stored(key)?.max(remembered(key))),
            Self::Given(given) => {
                let answer = given.get.call1(&given.store, &key.into());
                parse(key, &settled(answer).await?)
            }
        }
    }

    /// Keeps a serial, unless the one that is kept by now is as high: it looks again, because other pages write too.
    pub(crate) async fn raise(&self, key: &str, serial: u64) -> Result<(), Error> {
        let raises = |kept: Option<u64>| kept.is_none_or(|kept| serial > kept);
        match self {
            Self::Here => {
                MEMORY.with_borrow_mut(|memory| {
                    match memory.iter_mut().find(|(known, _)| known == key) {
                        Some((_, known)) => *known = serial.max(*known),
                        None => memory.push((key.to_owned(), serial)),
                    }
                });
                // Storage may be full, or read only: then the module's memory has to do.
                if let Some(storage) = storage()
                    && raises(stored(key)?)
                {
                    let _ = storage.set_item(key, &serial.to_string());
                }
                Ok(())
            }
            Self::Given(given) => {
                if !raises(self.get(key).await?) {
                    return Ok(());
                }
                let serial = serial.to_string().into();
                let answer = given.set.call2(&given.store, &key.into(), &serial);
                settled(answer).await.map(drop)
            }
        }
    }
}

/// The line for a page's store: the same one for all clients that share the store.
fn users(store: &Object) -> Rc<Line> {
    LINES.with_borrow_mut(|lines| {
        lines.retain(|(_, line)| line.strong_count() > 0);
        let known = lines.iter().find(|(known, _)| Object::is(known, store));
        known
            .and_then(|(_, line)| line.upgrade())
            .unwrap_or_else(|| {
                let line = Rc::new(Line::default());
                lines.push((store.clone(), Rc::downgrade(&line)));
                line
            })
    })
}

/// The key for one gateway's records, whoever signs them: the records of a successor count on from those before.
pub(crate) fn key(authority: &str) -> String {
    [PREFIX, authority].concat()
}

/// Reads a serial as it is kept: decimal digits; `undefined` and `null` where there is none.
pub(crate) fn digits(value: &JsValue) -> Option<u64> {
    let text = value.as_string()?;
    // Rust's own parser takes a sign too.
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parse(key: &str, value: &JsValue) -> Result<Option<u64>, Error> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    digits(value).map(Some).ok_or_else(|| {
        failed(&format!(
            "what it has under \"{key}\" is no serial: decimal digits as text"
        ))
    })
}

/// What a method of the page's store gave, waited for if it is a promise.
async fn settled(answer: Result<JsValue, JsValue>) -> Result<JsValue, Error> {
    let settled = match answer {
        Ok(value) => JsFuture::from(Promise::resolve(&value)).await,
        thrown => thrown,
    };
    settled.map_err(|thrown| failed(&js::text(&thrown)))
}

/// Without the last serial an old record cannot be told from a new one, so nothing is taken on trust.
fn failed(why: &str) -> Error {
    Error::new(
        Code::ENDPOINT_RECORD,
        format!("the endpoint record cannot be judged, the store of serials failed: {why}"),
    )
}

fn stored(key: &str) -> Result<Option<u64>, Error> {
    let item = storage().and_then(|storage| storage.get_item(key).ok().flatten());
    item.map_or(Ok(None), |text| parse(key, &text.into()))
}

fn remembered(key: &str) -> Option<u64> {
    MEMORY.with_borrow(|memory| {
        let known = memory.iter().find(|(known, _)| known == key);
        known.map(|(_, serial)| *serial)
    })
}

/// None in workers and in Node, and where the browser keeps pages from storing.
fn storage() -> Option<Storage> {
    let storage = js::global("localStorage")?;
    (!storage.is_null()).then(|| storage.unchecked_into())
}

const PREFIX: &str = "stoq-serial:";

static MEMORY: Global<Vec<(String, u64)>> = Global::new(Vec::new());
static LINES: Global<Vec<(Object, Weak<Line>)>> = Global::new(Vec::new());
