//! What a page may choose, checked once.

use std::time::Duration;

use js_sys::Uint8Array;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use wasm_bindgen::prelude::*;
use web_sys::{WebTransportCongestionControl, WebTransportHash, WebTransportOptions};

use crate::error::Error;
use crate::pinning::Pinning;
use crate::record::Record;

/// The `ClientOptions` of JavaScript.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Options {
    certificate_hashes: Vec<CertificateHash>,
    congestion_control: CongestionControl,
    connect_timeout: Milliseconds,
    #[serde(skip)]
    pinning: Option<Pinning>,
}

impl Options {
    /// Reads the object that a page gave; `undefined` stands for the defaults.
    pub(crate) fn from_js(value: JsValue) -> Result<Self, Error> {
        if value.is_undefined() {
            return Ok(Self::default());
        }
        if !value.is_object() {
            return Err(Error::argument("the options must be an object"));
        }
        let pinning = Pinning::from_js(&value)?;
        let options: Self = serde_wasm_bindgen::from_value(value)
            .map_err(|error| Error::argument(format!("options: {error}")))?;
        if pinning.is_some() && !options.certificate_hashes.is_empty() {
            return Err(Error::argument(
                "pins and certificateHashes exclude each other: with pins, the hashes come from the endpoint record",
            ));
        }
        Ok(Self { pinning, ..options })
    }

    pub(crate) fn pinning(&self) -> Option<&Pinning> {
        self.pinning.as_ref()
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout.0
    }

    /// The browser's form of these, with the certificates of the verified record if there is one.
    pub(crate) fn transport(&self, record: Option<&Record>) -> WebTransportOptions {
        let options = WebTransportOptions::new();
        // A fallback to HTTP/2 would have no datagrams, and nothing of STOQ is tested there.
        options.set_require_unreliable(true);
        options.set_congestion_control(match self.congestion_control {
            CongestionControl::Default => WebTransportCongestionControl::Default,
            CongestionControl::Throughput => WebTransportCongestionControl::Throughput,
            CongestionControl::LowLatency => WebTransportCongestionControl::LowLatency,
        });
        let hashes: Vec<_> = match record {
            Some(record) => record.certificate_hashes().iter().map(transport).collect(),
            None => {
                let chosen = self.certificate_hashes.iter();
                chosen.map(|hash| transport(&hash.0)).collect()
            }
        };
        // A record has one at least.
        if !hashes.is_empty() {
            options.set_server_certificate_hashes(&hashes);
        }
        options
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CongestionControl {
    #[default]
    Default,
    Throughput,
    LowLatency,
}

/// SHA-256 of a certificate, as hexadecimal digits or as bytes.
#[derive(Clone, Copy, Debug)]
struct CertificateHash([u8; 32]);

/// The browser's form of a hash.
fn transport(sha256: &[u8; 32]) -> WebTransportHash {
    let hash = WebTransportHash::new();
    hash.set_algorithm("sha-256");
    hash.set_value_u8_array(&Uint8Array::from(&sha256[..]));
    hash
}

impl CertificateHash {
    fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|&char| char != ':')
            .map(|char| char.to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        (digits.len() == 64)
            .then(|| bytes.try_into().ok().map(Self))
            .flatten()
    }
}

impl<'de> Deserialize<'de> for CertificateHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CertificateHashVisitor)
    }
}

struct CertificateHashVisitor;

impl<'de> Visitor<'de> for CertificateHashVisitor {
    type Value = CertificateHash;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a certificate hash: 64 hexadecimal digits or 32 bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<CertificateHash, E> {
        CertificateHash::from_hex(text)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<CertificateHash, E> {
        bytes
            .try_into()
            .map(CertificateHash)
            .map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<CertificateHash, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

#[derive(Clone, Copy, Debug)]
struct Milliseconds(Duration);

impl Default for Milliseconds {
    /// 10 s: three lost handshake flights.
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let milliseconds = f64::deserialize(deserializer)?;
        // Beyond, the timers of browsers fire at once.
        if !(1.0..=f64::from(i32::MAX)).contains(&milliseconds) {
            let unexpected = de::Unexpected::Float(milliseconds);
            return Err(de::Error::invalid_value(
                unexpected,
                &"a time from 1 to 2147483647 ms",
            ));
        }
        Ok(Self(Duration::from_secs_f64(milliseconds / 1000.0)))
    }
}
