//! Opening sessions.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::time::Duration;

use js_sys::Promise;
use stoq_core::{Code, ServiceName};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Url, WebTransport};

use crate::access::Credentials;
use crate::authority;
use crate::control::Control;
use crate::driver::{Driver, Handle};
use crate::error::Error;
use crate::js::{self, Timer};
use crate::options::Options;
use crate::record::Record;
use crate::request::Request;
use crate::session::Session;
use crate::signal::in_time;

/// Opens sessions. One client may open many, at the same time too.
#[wasm_bindgen]
pub struct StoqClient(Rc<Options>);

#[wasm_bindgen]
impl StoqClient {
    /// Checks the options.
    ///
    /// # Errors
    /// `invalid-argument` if one has a value that it cannot have.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<Self, JsValue> {
        Ok(Self(Rc::new(Options::from_js(&options)?)))
    }

    /// Opens a session with the service that the URL names; see `index.d.ts` for what it fails with.
    pub fn connect(&self, url: JsValue, options: JsValue) -> Promise {
        js::promise(connect(self.0.clone(), url, options))
    }
}

async fn connect(options: Rc<Options>, url: JsValue, chosen: JsValue) -> Result<Session, Error> {
    let deadline = js::now() + options.connect_timeout();
    let left = || deadline.saturating_since(js::now());
    let Target {
        url,
        authority,
        service,
    } = target(&url)?;
    let request = Request::from_js(&chosen)?;
    // Before all else: where nobody is pinned for the gateway there is nothing to try.
    if let Some(pinning) = options.pinning() {
        pinning.pins_of(&authority)?;
    }
    if js::global("WebTransport").is_none() {
        let message =
            "no WebTransport here: it needs a recent browser, and a page from https or localhost";
        return Err(Error::new(Code::UNSUPPORTED, message));
    }
    let credentials = Credentials::from_js(&chosen).await?;
    // Here, because a failure later would leave a connection that nobody closes.
    let random = js::random()?;
    let mut record = match options.pinning() {
        Some(pinning) => {
            let vouched = in_time(left(), pinning.vouch(&authority)).await;
            Some(vouched.ok_or_else(|| Error::new(Code::TIMEOUT, NO_RECORD))??)
        }
        None => None,
    };
    let mut reached = reach(&options, &url, record.as_ref(), left()).await;
    // The certificate may have been replaced after the record was read. Once: a gateway does not do that all the time.
    if let (Err(error), Some(pinning), Some(known)) = (&reached, options.pinning(), &record)
        && error.code() == Code::HANDSHAKE
        && let Some(later) = in_time(left(), pinning.later(&authority, known))
            .await
            .flatten()
    {
        reached = reach(&options, &url, Some(&later), left()).await;
        record = Some(later);
    }
    let (transport, control) = reached?;
    let mut config = request.config(service.clone(), random, &credentials);
    config.limits.settings_timeout = left();
    let driver = Driver::start(transport, control, config, credentials.proofs);
    let opened = driver.opened().await?;
    let security = record.map_or(JsValue::NULL, |record| record.to_js());
    let handle = Handle::new(driver, opened);
    Ok(Session::new(handle, url, service, security))
}

/// A connection to a gateway that has one of the certificates of `record`, if there is one.
///
/// # Errors
/// `handshake-failed`, `timeout`, or that the browser will not even try.
async fn reach(
    options: &Options,
    url: &str,
    record: Option<&Record>,
    time: Duration,
) -> Result<(WebTransport, Control), Error> {
    let chosen = options.transport(record);
    let transport = WebTransport::new_with_options(url, &chosen).map_err(|thrown| {
        let code = match js::get(&thrown, "name").as_string().as_deref() {
            Some("NotSupportedError") => Code::UNSUPPORTED,
            _ => Code::INVALID_ARGUMENT,
        };
        Error::new(
            code,
            format!("the browser refuses to connect: {}", js::text(&thrown)),
        )
    })?;
    // Before the transport is ready its `closed` has a rejection of its own, which nobody else would look at.
    js::ignore(transport.closed());

    let control = within(time, &transport, async {
        let ready = JsFuture::from(transport.ready()).await;
        ready.map_err(|thrown| {
            Error::new(Code::HANDSHAKE, format!("{}: {LIKELY}", js::text(&thrown)))
        })?;
        Control::open(&transport).await
    });
    let control = control.await?;
    Ok((transport, control))
}

/// What comes of `work`; the transport is closed, which ends the work, if it takes longer than `time`.
async fn within<T>(
    time: Duration,
    transport: &WebTransport,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = Rc::new(Cell::new(false));
    let (alarm, transport) = (late.clone(), transport.clone());
    let _timer = Timer::after(time, move || {
        alarm.set(true);
        transport.close();
    });
    let done = work.await;
    if late.get() {
        Err(Error::new(Code::TIMEOUT, TOO_LATE))
    } else {
        done
    }
}

/// Where a URL leads.
struct Target {
    url: String,
    authority: String,
    service: ServiceName,
}

fn target(url: &JsValue) -> Result<Target, Error> {
    let text = match url.as_string() {
        Some(text) => text,
        None if url.has_type::<Url>() => url.unchecked_ref::<Url>().href(),
        None => return Err(Error::argument("the URL must be a string")),
    };
    let wrong = |why: &str| Error::argument(format!("\"{text}\" is no {SHAPE}: {why}"));
    let url = Url::new(&text).map_err(|_| wrong("it cannot be read"))?;
    if url.protocol() != "https:" {
        return Err(wrong("it must begin with https:"));
    }
    if !url.username().is_empty() || !url.password().is_empty() {
        return Err(wrong("it names a user"));
    }
    if !url.search().is_empty() || !url.hash().is_empty() {
        return Err(wrong("nothing may follow the service"));
    }
    let service =
        ServiceName::from_path(&url.pathname()).map_err(|error| wrong(&error.to_string()))?;
    Ok(Target {
        url: url.href(),
        authority: authority::of(&url),
        service,
    })
}

const SHAPE: &str = "https://host:port/stoq/v1/<service>";
const NO_RECORD: &str =
    "the endpoint record did not come in time, or the store of serials did not answer";
const TOO_LATE: &str = "the server could not be reached in time";
/// Browsers keep the reason to themselves, because a page could scan networks with it.
const LIKELY: &str = "the server is unreachable (is it running, does UDP get through?), its certificate is not trusted \
    (does certificateHashes, or the endpoint record, hold its hash, is it ECDSA and valid for at most 14 days?), or it does not allow this page's \
    origin; the browser does not tell which";
