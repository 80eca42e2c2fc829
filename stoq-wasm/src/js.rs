//! What the SDK takes from its surroundings: clock, timers, random bytes, promises, and the errors of streams.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::pin::Pin;
use core::time::Duration;

use js_sys::{Date, Function, Object, Promise, Reflect, Uint8Array};
use stoq_core::Code;
use stoq_core::time::{Timestamp, UnixMicros};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};

use crate::error::Error;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = String)]
    fn string(value: &JsValue) -> Result<String, JsValue>;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);

    /// The browser's error of a stream or session. Not web-sys's binding, which knows 8 bits of the code only.
    type WebTransportError;
    #[wasm_bindgen(catch, constructor)]
    fn new(init: &Object) -> Result<WebTransportError, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn source(this: &WebTransportError) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = streamErrorCode)]
    fn stream_error_code(this: &WebTransportError) -> Option<f64>;
}

/// Now, on the page's monotonic clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros((performance_now() * 1000.0) as u64)
}

/// Now, on the machine's clock.
pub(crate) fn wall_clock() -> UnixMicros {
    micros(Date::now())
}

/// A moment that JavaScript counts in milliseconds.
pub(crate) fn micros(milliseconds: f64) -> UnixMicros {
    UnixMicros((milliseconds * 1000.0) as u64)
}

/// A moment as a `Date`.
pub(crate) fn date(moment: UnixMicros) -> JsValue {
    // A `Date` ends here; a record may say "for ever".
    const LAST: f64 = 8.64e15;
    let milliseconds = (moment.0 as f64 / 1000.0).min(LAST);
    Date::new(&milliseconds.into()).into()
}

/// A count; JavaScript holds those below 2⁵³ exactly.
pub(crate) fn number(count: u64) -> JsValue {
    JsValue::from_f64(count as f64)
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let array = Uint8Array::new_with_length(N as u32);
    get_random_values(&array).map_err(|error| {
        Error::new(
            Code::UNSUPPORTED,
            format!("crypto.getRandomValues failed: {}", text(&error)),
        )
    })?;
    let mut bytes = [0; N];
    array.copy_to(&mut bytes);
    Ok(bytes)
}

/// A property of an object; `undefined` if the value has none, or is no object.
pub(crate) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a property of an object of our own.
pub(crate) fn set(object: &Object, key: &str, value: &JsValue) {
    certain(
        Reflect::set(object, &JsValue::from_str(key), value),
        "our own objects take properties",
    );
}

/// As `expect`, which would have to be able to show what is thrown: 10 KB of code for any value of JavaScript.
pub(crate) fn certain<T, E>(result: Result<T, E>, invariant: &str) -> T {
    match result {
        Ok(value) => value,
        Err(_) => panic!("{invariant}"),
    }
}

/// A thing of the browser that may be missing here.
pub(crate) fn global(name: &str) -> Option<JsValue> {
    let value = get(&js_sys::global(), name);
    (!value.is_undefined()).then_some(value)
}

/// What a thrown value says of itself.
pub(crate) fn text(thrown: &JsValue) -> String {
    get(thrown, "message")
        .as_string()
        .or_else(|| string(thrown).ok())
        .unwrap_or_default()
}

/// The promise of a future that owns all that it needs: whoever called may free its handle meanwhile.
pub(crate) fn promise<T: Into<JsValue>>(
    future: impl Future<Output = Result<T, Error>> + 'static,
) -> Promise {
    promise_of(Box::pin(async move {
        future.await.map(Into::into).map_err(JsValue::from)
    }))
}

/// As [`promise`], for what has no value.
pub(crate) fn done(future: impl Future<Output = Result<(), Error>> + 'static) -> Promise {
    promise(async move { future.await.map(|()| JsValue::UNDEFINED) })
}

/// Not generic, as everything behind it would be compiled for each future anew: a tenth of the module.
fn promise_of(future: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>) -> Promise {
    future_to_promise(future)
}

/// Runs a future that owns all that it needs to its end.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    spawn_boxed(Box::pin(future));
}

/// See [`promise_of`].
fn spawn_boxed(future: Pin<Box<dyn Future<Output = ()>>>) {
    spawn_local(future);
}

/// Lets a promise run whose outcome nobody needs. A rejection of it does not show up as unhandled.
pub(crate) fn ignore<T>(promise: Promise<T>) {
    let promise: Promise = promise.unchecked_into();
    spawn(async move {
        let _ = JsFuture::from(promise).await;
    });
}

/// A call that is due after a time, unless this is dropped before.
pub(crate) struct Timer {
    id: JsValue,
    _callback: Closure<dyn FnMut()>,
}

impl Timer {
    pub(crate) fn after(time: Duration, callback: impl FnOnce() + 'static) -> Self {
        let callback = Closure::once(callback);
        // Timers of browsers are cut to whole milliseconds: one more, so that none fires before its time.
        let begun = time.subsec_nanos().div_ceil(1_000_000);
        let milliseconds = time.as_secs() as f64 * 1000.0 + f64::from(begun) + 1.0;
        let id = set_timeout(callback.as_ref().unchecked_ref(), milliseconds);
        Self {
            id,
            _callback: callback,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}

/// The code in an error with which a stream failed, if the browser tells one: it is an error of the stream, not of the
/// session, and one that knows its code.
pub(crate) fn stream_code(error: &JsValue) -> Option<Code> {
    let error = error.dyn_ref::<WebTransportError>()?;
    if error.source().as_deref() != Some("stream") {
        return None;
    }
    Some(Code::from_webtransport(error.stream_error_code()? as u32))
}

/// The error to reset or stop a stream with, so that the peer sees `code`.
///
/// Chromium 148 and Firefox 140 let a page choose 8 bits of code. What does not fit becomes
/// [`Code::UNMAPPED`], which does; else they would send another number.
pub(crate) fn stream_error(code: Code) -> JsValue {
    let make = |code: Code| {
        let wire = code.to_webtransport();
        let init = Object::new();
        set(&init, "streamErrorCode", &wire.into());
        let error = WebTransportError::new(&init).ok()?;
        (error.stream_error_code() == Some(f64::from(wire))).then(|| JsValue::from(error))
    };
    make(code)
        .or_else(|| make(Code::UNMAPPED))
        .unwrap_or(JsValue::UNDEFINED)
}

/// The code in a reason that a page gave to `abort` or `cancel`: its own [`Error`], or another stream's.
pub(crate) fn code_of_reason(reason: &JsValue) -> Code {
    stream_code(reason)
        .or_else(|| code_argument(&get(reason, "number")).ok().flatten())
        .unwrap_or(Code::CANCELLED)
}

/// A code that a page gave, if it gave one.
pub(crate) fn code_argument(value: &JsValue) -> Result<Option<Code>, Error> {
    if value.is_undefined() {
        return Ok(None);
    }
    match value.as_f64() {
        Some(number) if f64::from(number as u32) == number => Ok(Some(Code::new(number as u32))),
        _ => Err(Error::argument(format!(
            "a code is an integer from 0 to 4294967295, not {}",
            text(value)
        ))),
    }
}

/// An object of options that a page gave, or `undefined`.
pub(crate) fn options_argument(value: &JsValue) -> Result<(), Error> {
    if value.is_undefined() || value.is_object() {
        return Ok(());
    }
    Err(Error::argument("the options must be an object"))
}

/// What the word stands for that a page gave as this option; the first if it gave none.
pub(crate) fn choice<T: Copy>(
    options: &JsValue,
    name: &str,
    words: &[(&'static str, T)],
) -> Result<T, Error> {
    let given = get(options, name);
    let is_given = |&(at, _): &(usize, &(&str, T))| match given.is_undefined() {
        true => at == 0,
        false => given == JsValue::from_str(words[at].0),
    };
    let chosen = words.iter().enumerate().find(is_given);
    chosen.map(|(_, (_, value))| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Error::argument(format!("{name} must be one of: {}", words.join(", ")))
    })
}

/// An object that nobody changes.
pub(crate) fn frozen(properties: &[(&str, JsValue)]) -> JsValue {
    Object::freeze(&object(properties)).into()
}

/// An object with these properties.
pub(crate) fn object(properties: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in properties {
        set(&object, key, value);
    }
    object
}

/// Bytes that a page gave.
pub(crate) fn bytes_argument(value: &JsValue) -> Result<&Uint8Array, Error> {
    value
        .dyn_ref()
        .ok_or_else(|| Error::argument("the data must be a Uint8Array"))
}

/// A counter that JavaScript can hold exactly.
#[derive(Default)]
pub(crate) struct Counter(Cell<u32>);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.set(self.0.get().saturating_add(1));
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.get()
    }
}
