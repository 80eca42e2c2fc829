//! What a page may choose, checked once.

use alloc::vec::Vec;
use core::time::Duration;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{WebTransportCongestionControl, WebTransportHash, WebTransportOptions};

use crate::error::Error;
use crate::js;
use crate::pinning::Pinning;
use crate::record::Record;

/// The `ClientOptions` of JavaScript.
pub(crate) struct Options {
    certificate_hashes: Vec<[u8; 32]>,
    congestion_control: WebTransportCongestionControl,
    connect_timeout: Duration,
    pinning: Option<Pinning>,
}

impl Options {
    /// Reads the object that a page gave; `undefined` stands for the defaults.
    pub(crate) fn from_js(value: &JsValue) -> Result<Self, Error> {
        js::options_argument(value)?;
        let pinning = Pinning::from_js(value)?;
        let certificate_hashes = certificate_hashes(&js::get(value, "certificateHashes"))?;
        if pinning.is_some() && !certificate_hashes.is_empty() {
            return Err(Error::argument(
                "pins and certificateHashes exclude each other: with pins, the hashes come from the endpoint record",
            ));
        }
        Ok(Self {
            certificate_hashes,
            congestion_control: js::choice(
                value,
                "congestionControl",
                &[
                    ("default", WebTransportCongestionControl::Default),
                    ("throughput", WebTransportCongestionControl::Throughput),
                    ("low-latency", WebTransportCongestionControl::LowLatency),
                ],
            )?,
            connect_timeout: connect_timeout(&js::get(value, "connectTimeout"))?,
            pinning,
        })
    }

    pub(crate) fn pinning(&self) -> Option<&Pinning> {
        self.pinning.as_ref()
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The browser's form of these, with the certificates of the verified record if there is one.
    pub(crate) fn transport(&self, record: Option<&Record>) -> WebTransportOptions {
        let options = WebTransportOptions::new();
        // A fallback to HTTP/2 would have no datagrams, and nothing of STOQ is tested there.
        options.set_require_unreliable(true);
        options.set_congestion_control(self.congestion_control);
        let hashes = record.map_or(&*self.certificate_hashes, Record::certificate_hashes);
        // A record has one at least.
        if !hashes.is_empty() {
            let hashes: Vec<_> = hashes.iter().map(transport).collect();
            options.set_server_certificate_hashes(&hashes);
        }
        options
    }
}

/// The browser's form of a hash.
fn transport(sha256: &[u8; 32]) -> WebTransportHash {
    let hash = WebTransportHash::new();
    hash.set_algorithm("sha-256");
    hash.set_value_u8_array(&Uint8Array::from(&sha256[..]));
    hash
}

/// SHA-256 of certificates, each as hexadecimal digits or as bytes.
fn certificate_hashes(value: &JsValue) -> Result<Vec<[u8; 32]>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    let hash = |value: JsValue| match value.dyn_ref::<Uint8Array>() {
        Some(bytes) => (bytes.length() == 32).then(|| bytes.to_vec().try_into().ok())?,
        None => from_hex(&value.as_string()?),
    };
    let hashes = value.dyn_ref::<Array>();
    let hashes = hashes.and_then(|hashes| hashes.iter().map(hash).collect());
    hashes.ok_or_else(|| {
        Error::argument(
            "certificateHashes must be an array of hashes, each of 64 hexadecimal digits or 32 bytes",
        )
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|&char| char != ':')
        .map(|char| char.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    let is_whole = digits.len() == 64;
    is_whole.then(|| bytes.try_into().ok()).flatten()
}

fn connect_timeout(value: &JsValue) -> Result<Duration, Error> {
    if value.is_undefined() {
        return Ok(CONNECT_TIMEOUT);
    }
    let milliseconds = value.as_f64();
    // Beyond, the timers of browsers fire at once.
    let milliseconds = milliseconds.filter(|it| (1.0..=f64::from(i32::MAX)).contains(it));
    match milliseconds {
        Some(milliseconds) => Ok(Duration::from_secs_f64(milliseconds / 1000.0)),
        None => Err(Error::argument(
            "connectTimeout must be a time from 1 to 2147483647 ms",
        )),
    }
}

/// 10 s: three lost handshake flights.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
