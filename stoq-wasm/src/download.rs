//! Small files from the web, with a bound.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use js_sys::{Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStream, ReadableStreamDefaultReader};

use crate::js;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(address: &str, init: &Object) -> Result<Promise, JsValue>;
}

/// Why there is no file.
pub(crate) enum NotLoaded {
    /// It is longer than the bound.
    TooLong,
    /// Another reason, for people.
    Failed(String),
}

/// The file at an address, which `fetch` resolves, if it has at most `limit` bytes. No cache and no cookies take part.
///
/// # Cancel safety
/// A dropped download is aborted; so is one that turns out too long.
pub(crate) async fn download(address: &str, limit: usize) -> Result<Vec<u8>, NotLoaded> {
    let failed = |thrown: JsValue| NotLoaded::Failed(js::text(&thrown));
    let abort = AbortOnDrop(AbortController::new().map_err(failed)?);
    let init = Object::new();
    js::set(&init, "cache", &"no-store".into());
    js::set(&init, "credentials", &"omit".into());
    js::set(&init, "signal", &abort.0.signal());
    let response = fetch(address, &init).map_err(failed)?;
    let response: JsValue = JsFuture::from(response).await.map_err(failed)?;
    if !js::get(&response, "ok").is_truthy() {
        // An integer: code that shows a number with a fraction takes 7 KB of a page's download.
        let status = js::get(&response, "status").as_f64().unwrap_or_default() as u32;
        return Err(NotLoaded::Failed(format!("the server answered {status}")));
    }
    let mut bytes = Vec::new();
    let body = js::get(&response, "body");
    // An answer that can have no body has none.
    let Some(body) = body.dyn_ref::<ReadableStream>() else {
        return Ok(bytes);
    };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    loop {
        let chunk: JsValue = JsFuture::from(reader.read()).await.map_err(failed)?;
        if js::get(&chunk, "done").is_truthy() {
            return Ok(bytes);
        }
        let chunk: Uint8Array = js::get(&chunk, "value").unchecked_into();
        let (start, end) = (bytes.len(), bytes.len() + chunk.length() as usize);
        if end > limit {
            return Err(NotLoaded::TooLong);
        }
        bytes.resize(end, 0);
        chunk.copy_to(&mut bytes[start..]);
    }
}

/// Ends a fetch that nobody waits for any more; does nothing to one that has ended.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
