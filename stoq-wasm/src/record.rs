//! What a gateway's endpoint record says, once it is verified.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use js_sys::{Array, ArrayBuffer, Date, Object, Uint8Array};
use stoq_core::endpoint_record::{EndpointRecord, EndpointRecordError, SignedEndpointRecord};
use stoq_core::time::UnixMicros;
use stoq_core::{Code, FalconId};
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::hash::hex;
use crate::{authority, js, pins, serials};

/// A record whose signature one of the pinned identities has made; whether it holds here and now, [`check`](Self::check)
/// says.
pub(crate) struct Record {
    pub(crate) signer: FalconId,
    says: EndpointRecord,
}

impl Record {
    /// Reads a record and verifies its signature.
    ///
    /// # Errors
    /// `endpoint-record-refused`; `untrusted-identity` if it is by somebody who is not pinned.
    pub(crate) fn verify(bytes: &[u8], pins: &[FalconId]) -> Result<Self, Error> {
        let signed = SignedEndpointRecord::decode(bytes).map_err(refused)?;
        Ok(Self {
            says: signed.verify(pins).map_err(refused)?.clone(),
            signer: signed.signer(),
        })
    }

    /// Whether it holds now, for this gateway, and is no older than the last one.
    ///
    /// # Errors
    /// `endpoint-record-refused`.
    pub(crate) fn check(
        &self,
        now: UnixMicros,
        authority: &str,
        last: Option<u64>,
    ) -> Result<(), Error> {
        self.says.check(now, authority, last).map_err(refused)
    }

    pub(crate) fn serial(&self) -> u64 {
        self.says.serial
    }

    /// SHA-256 of each certificate that the gateway may present.
    pub(crate) fn certificate_hashes(&self) -> &[[u8; 32]] {
        &self.says.certificate_hashes
    }

    /// The `Security` of JavaScript.
    pub(crate) fn to_js(&self) -> JsValue {
        let says = &self.says;
        let hashes = says.certificate_hashes.iter();
        let hashes: Array = hashes.map(|hash| JsValue::from(hex(hash))).collect();
        js::frozen(&[
            ("falconId", self.signer.to_string().into()),
            ("authority", JsValue::from_str(&says.authority)),
            ("serial", says.serial.to_string().into()),
            ("notBefore", js::date(says.not_before)),
            ("expiry", js::date(says.expiry)),
            ("certificateHashes", Object::freeze(&hashes).into()),
        ])
    }
}

/// Verifies an endpoint record without connecting; see `index.d.ts`.
///
/// # Errors
/// `invalid-argument`, `endpoint-record-refused`, `untrusted-identity`.
#[wasm_bindgen(js_name = verifyEndpointRecord)]
pub fn verify_endpoint_record(record: JsValue, against: JsValue) -> Result<JsValue, JsValue> {
    Ok(verified(&record, &against)?.to_js())
}

fn verified(record: &JsValue, against: &JsValue) -> Result<Record, Error> {
    let bytes = bytes(record).ok_or_else(|| {
        Error::argument("the endpoint record must be a Uint8Array or an ArrayBuffer")
    })?;
    let authority = js::get(against, "authority").as_string();
    let authority = authority.and_then(|text| authority::parse(&text));
    let authority = authority.ok_or_else(|| argument("authority", pins::SHAPE))?;
    let pins = pins::identities(&js::get(against, "pins")).map_err(|why| argument("pins", &why))?;
    let now = match js::get(against, "now") {
        now if now.is_undefined() => js::wall_clock(),
        now => moment(&now).ok_or_else(|| argument("now", "a Date, or milliseconds"))?,
    };
    let last = match js::get(against, "lastSerial") {
        last if last.is_undefined() || last.is_null() => None,
        last => {
            let digits = serials::digits(&last);
            Some(digits.ok_or_else(|| argument("lastSerial", "decimal digits as text"))?)
        }
    };
    let record = Record::verify(&bytes?, &pins)?;
    record.check(now, &authority, last)?;
    Ok(record)
}

/// The bytes that a page gave, if they are bytes; they are looked at for their length before they are copied.
pub(crate) fn bytes(value: &JsValue) -> Option<Result<Vec<u8>, Error>> {
    let array = match value.dyn_ref::<ArrayBuffer>() {
        Some(buffer) => Uint8Array::new(buffer),
        None => value.dyn_ref::<Uint8Array>()?.clone(),
    };
    let fits = array.length() as usize <= EndpointRecord::MAX_LEN;
    Some(fits.then(|| array.to_vec()).ok_or_else(too_long))
}

/// There are more bytes than a record can have.
pub(crate) fn too_long() -> Error {
    let limit = EndpointRecord::MAX_LEN;
    Error::new(
        Code::ENDPOINT_RECORD,
        format!("the endpoint record is longer than {limit} bytes, so it is none"),
    )
}

fn refused(error: EndpointRecordError) -> Error {
    let code = match error {
        EndpointRecordError::NotPinned { .. } => Code::UNTRUSTED,
        _ => Code::ENDPOINT_RECORD,
    };
    Error::new(code, error.to_string())
}

fn argument(name: &str, what: &str) -> Error {
    Error::argument(format!("{name}: {what}"))
}

fn moment(value: &JsValue) -> Option<UnixMicros> {
    let milliseconds = match value.dyn_ref::<Date>() {
        Some(date) => date.get_time(),
        None => value.as_f64()?,
    };
    milliseconds.is_finite().then(|| js::micros(milliseconds))
}
