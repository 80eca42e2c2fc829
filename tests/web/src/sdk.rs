//! The classes of the npm package, and the conformance traits on them.

use js_sys::{Array, Object, Reflect, Uint8Array};
use stoq_conformance::{Connect, Failure, RecvHalf, SendHalf, Session};
use stoq_core::close::Code;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "stoq")]
extern "C" {
    type StoqClient;
    #[wasm_bindgen(constructor, catch)]
    fn new(options: &JsValue) -> Result<StoqClient, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn connect(this: &StoqClient, url: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = Session)]
    pub(crate) type JsSession;
    #[wasm_bindgen(method, catch, js_name = openBidirectionalStream)]
    async fn open_bidirectional(this: &JsSession) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = openUnidirectionalStream)]
    async fn open_unidirectional(this: &JsSession) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = acceptBidirectionalStream)]
    async fn accept_bidirectional(this: &JsSession) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = acceptUnidirectionalStream)]
    async fn accept_unidirectional(this: &JsSession) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn datagrams(this: &JsSession) -> Datagrams;
    #[wasm_bindgen(method, catch, js_name = sendMessage)]
    async fn send_message(this: &JsSession, data: &Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn messages(this: &JsSession) -> ReadableStream;
    #[wasm_bindgen(method, getter, js_name = maxMessageSize)]
    fn max_message_size(this: &JsSession) -> u32;
    #[wasm_bindgen(method, catch)]
    async fn ping(this: &JsSession) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn close(this: &JsSession, info: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn closed(this: &JsSession) -> js_sys::Promise;

    type ReadableStream;
    #[wasm_bindgen(method, js_name = getReader)]
    fn get_reader(this: &ReadableStream) -> Reader;

    type Reader;
    #[wasm_bindgen(method, catch)]
    async fn read(this: &Reader) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, js_name = releaseLock)]
    fn release_lock(this: &Reader);

    type Datagrams;
    #[wasm_bindgen(method, getter, js_name = maxSize)]
    fn max_size(this: &Datagrams) -> u32;
    #[wasm_bindgen(method, catch)]
    async fn send(this: &Datagrams, data: &Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn receive(this: &Datagrams) -> Result<JsValue, JsValue>;

    type BidirectionalStream;
    #[wasm_bindgen(method, getter, js_name = send)]
    fn send_half(this: &BidirectionalStream) -> SendStream;
    #[wasm_bindgen(method, getter, js_name = receive)]
    fn receive_half(this: &BidirectionalStream) -> ReceiveStream;

    pub(crate) type SendStream;
    #[wasm_bindgen(method, catch)]
    async fn write(this: &SendStream, data: &Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn finish(this: &SendStream) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn reset(this: &SendStream, code: u32) -> Result<JsValue, JsValue>;

    pub(crate) type ReceiveStream;
    #[wasm_bindgen(method, catch)]
    async fn read(this: &ReceiveStream) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn stop(this: &ReceiveStream, code: u32) -> Result<JsValue, JsValue>;

    type StoqError;
    #[wasm_bindgen(method, getter)]
    fn number(this: &StoqError) -> u32;
    #[wasm_bindgen(method, getter)]
    fn code(this: &StoqError) -> String;
}

/// A `StoqClient` and the gateway that it goes to.
pub(crate) struct Client {
    client: StoqClient,
    gateway: String,
}

impl Client {
    pub(crate) fn new(gateway: String, certificate_hash: &str) -> Result<Self, JsValue> {
        let options = Object::new();
        let hashes = Array::of1(&certificate_hash.into());
        Reflect::set(&options, &"certificateHashes".into(), &hashes)?;
        Ok(Self {
            client: StoqClient::new(&options)?,
            gateway,
        })
    }
}

impl Connect for Client {
    type Session = JsSession;

    async fn connect(&self, service: &str) -> Result<JsSession, Failure> {
        let url = format!("{}/stoq/v1/{service}", self.gateway);
        self.client
            .connect(&url)
            .await
            .map(JsCast::unchecked_into)
            .map_err(failure)
    }
}

impl Session for JsSession {
    type Send = SendStream;
    type Recv = ReceiveStream;

    async fn open_bi(&self) -> Result<(SendStream, ReceiveStream), Failure> {
        halves(self.open_bidirectional().await)
    }

    async fn open_uni(&self) -> Result<SendStream, Failure> {
        self.open_unidirectional()
            .await
            .map(JsCast::unchecked_into)
            .map_err(failure)
    }

    async fn accept_bi(&self) -> Result<(SendStream, ReceiveStream), Failure> {
        halves(self.accept_bidirectional().await)
    }

    async fn accept_uni(&self) -> Result<ReceiveStream, Failure> {
        self.accept_unidirectional()
            .await
            .map(JsCast::unchecked_into)
            .map_err(failure)
    }

    async fn send_datagram(&self, payload: &[u8]) -> Result<(), Failure> {
        self.datagrams()
            .send(&payload.into())
            .await
            .map(drop)
            .map_err(failure)
    }

    async fn recv_datagram(&self) -> Result<Vec<u8>, Failure> {
        self.datagrams()
            .receive()
            .await
            .map(|bytes| bytes_of(&bytes))
            .map_err(failure)
    }

    fn max_datagram_size(&self) -> usize {
        self.datagrams().max_size() as usize
    }

    async fn send_message(&self, message: &[u8]) -> Result<(), Failure> {
        Self::send_message(self, &message.into())
            .await
            .map(drop)
            .map_err(failure)
    }

    async fn recv_message(&self) -> Result<Vec<u8>, Failure> {
        let reader = self.messages().get_reader();
        let read = reader.read().await.map_err(failure);
        reader.release_lock();
        let value = Reflect::get(&read?, &"value".into()).expect("a reader gives objects");
        Ok(bytes_of(&value))
    }

    fn max_message_size(&self) -> usize {
        Self::max_message_size(self) as usize
    }

    async fn ping(&self) -> Result<(), Failure> {
        Self::ping(self).await.map(drop).map_err(failure)
    }

    async fn close(&self, code: Code, reason: &str) {
        let info = Object::new();
        let set = |key: &str, value: JsValue| Reflect::set(&info, &key.into(), &value);
        set("code", code.value().into()).expect("a fresh object takes properties");
        set("reason", reason.into()).expect("a fresh object takes properties");
        Self::close(self, &info)
            .await
            .expect("close takes any code and a short reason");
    }

    async fn closed(&self) -> (Code, String) {
        let info = wasm_bindgen_futures::JsFuture::from(Self::closed(self))
            .await
            .expect("closed never rejects");
        let get = |key: &str| Reflect::get(&info, &key.into()).expect("CloseInfo is an object");
        let code = get("code").as_f64().expect("code is a number") as u32;
        (
            Code::new(code),
            get("reason").as_string().expect("reason is a string"),
        )
    }
}

impl SendHalf for SendStream {
    async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        Self::write(self, &data.into())
            .await
            .map(drop)
            .map_err(failure)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        Self::finish(self).await.map(drop).map_err(failure)
    }

    async fn reset(&mut self, code: Code) {
        // A stream that has failed already cannot be reset; the bodies look at the other end.
        let _ = Self::reset(self, code.value()).await;
    }
}

impl RecvHalf for ReceiveStream {
    async fn read(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = Self::read(self).await.map_err(failure)?;
        Ok((!bytes.is_undefined()).then(|| bytes_of(&bytes)))
    }

    async fn stop(&mut self, code: Code) {
        let _ = Self::stop(self, code.value()).await;
    }
}

fn halves(stream: Result<JsValue, JsValue>) -> Result<(SendStream, ReceiveStream), Failure> {
    let stream: BidirectionalStream = stream.map_err(failure)?.unchecked_into();
    Ok((stream.send_half(), stream.receive_half()))
}

fn bytes_of(value: &JsValue) -> Vec<u8> {
    value.unchecked_ref::<Uint8Array>().to_vec()
}

/// Everything that the SDK throws is a `StoqError` whose word fits its number.
fn failure(error: JsValue) -> Failure {
    let Some(error) = error.dyn_ref::<StoqError>() else {
        panic!("the SDK threw something else than a StoqError: {error:?}");
    };
    let code = Code::new(error.number());
    assert_eq!(error.code(), code.name().unwrap_or("application"));
    Failure(code)
}
