//! Knowing the gateway before connecting: its endpoint record, by somebody whom the page has pinned.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use stoq_core::endpoint_record::EndpointRecord;
use stoq_core::{Code, FalconId};
use wasm_bindgen::prelude::*;
use web_sys::Url;

use crate::download::{NotLoaded, download};
use crate::error::Error;
use crate::js;
use crate::pins::Pins;
use crate::record::{self, Record};
use crate::serials::{self, Serials};

/// What a page chose of it.
pub(crate) struct Pinning {
    pins: Pins,
    source: Source,
    serials: Serials,
}

/// Where the record is.
enum Source {
    /// Where a gateway serves it.
    WellKnown,
    /// At an address.
    At(String),
    /// Here, unless there were more bytes than a record has.
    Given(Result<Vec<u8>, Error>),
}

impl Pinning {
    /// Reads it from the `ClientOptions` of JavaScript; none if nothing is pinned.
    pub(crate) fn from_js(options: &JsValue) -> Result<Option<Self>, Error> {
        let [pins, record, serials] =
            ["pins", "endpointRecord", "serials"].map(|name| js::get(options, name));
        if pins.is_undefined() {
            for (name, value) in [("endpointRecord", record), ("serials", serials)] {
                if !value.is_undefined() {
                    let message = format!("{name} is of no use without pins: nothing is verified");
                    return Err(Error::argument(message));
                }
            }
            return Ok(None);
        }
        Ok(Some(Self {
            pins: Pins::from_js(&pins)?,
            source: Source::from_js(&record)?,
            serials: Serials::from_js(&serials)?,
        }))
    }

    /// Who may speak for a gateway.
    ///
    /// # Errors
    /// `untrusted-identity` if nobody may.
    pub(crate) fn pins_of(&self, authority: &str) -> Result<&[FalconId], Error> {
        match self.pins.of(authority) {
            [] => Err(Error::new(
                Code::UNTRUSTED,
                format!("no identity is pinned for {authority}, so nothing was contacted"),
            )),
            pins => Ok(pins),
        }
    }

    /// The gateway's record, verified, and no older than the last one; from now on that one is the last.
    ///
    /// # Errors
    /// `endpoint-record-refused`, `untrusted-identity`.
    ///
    /// # Cancel safety
    /// If it is dropped the download is aborted; the serial may have been kept or not.
    pub(crate) async fn vouch(&self, authority: &str) -> Result<Record, Error> {
        let pins = self.pins_of(authority)?;
        let bytes = self.source.load(authority).await?;
        let record = Record::verify(&bytes, pins)?;
        let key = serials::key(authority);
        let _turn = self.serials.turn().await;
        let last = self.serials.get(&key).await?;
        record.check(js::wall_clock(), authority, last)?;
        self.serials.raise(&key, record.serial()).await?;
        Ok(record)
    }

    /// A later record than this one, if there is one by now, [vouched](Self::vouch) for like every other. One that the page
    /// gave has none, and one that fails is none: what there was before stays the answer.
    pub(crate) async fn later(&self, authority: &str, than: &Record) -> Option<Record> {
        if matches!(self.source, Source::Given(_)) {
            return None;
        }
        let record = self.vouch(authority).await.ok()?;
        (record.serial() > than.serial()).then_some(record)
    }
}

impl Source {
    fn from_js(value: &JsValue) -> Result<Self, Error> {
        if value.is_undefined() {
            return Ok(Self::WellKnown);
        }
        if let Some(address) = value.as_string() {
            return Ok(Self::At(address));
        }
        if value.has_type::<Url>() {
            return Ok(Self::At(value.unchecked_ref::<Url>().href()));
        }
        match record::bytes(value) {
            Some(bytes) => Ok(Self::Given(bytes)),
            None => Err(Error::argument(
                "endpointRecord must be an address, or the record as a Uint8Array or an ArrayBuffer",
            )),
        }
    }

    async fn load(&self, authority: &str) -> Result<Vec<u8>, Error> {
        let address = match self {
            Self::Given(bytes) => return bytes.clone(),
            Self::At(address) => address.clone(),
            Self::WellKnown => ["https://", authority, EndpointRecord::PATH].concat(),
        };
        let loaded = download(&address, EndpointRecord::MAX_LEN).await;
        loaded.map_err(|error| match error {
            NotLoaded::TooLong => record::too_long(),
            NotLoaded::Failed(why) => Error::new(
                Code::ENDPOINT_RECORD,
                format!("the endpoint record cannot be fetched from {address}: {why}"),
            ),
        })
    }
}
