//! Access tokens that a page presents, and the keys of their holders, which stay where no script can read them.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use js_sys::{Array, Object, Promise, Uint8Array};
use stoq_core::Code;
use stoq_core::access::{HolderKey, HolderProof, SignedAccessToken, TokenHash, proof_message};
use stoq_core::frame::AccessTokens;
use stoq_core::hash::SessionHash;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, SubtleCrypto};

use crate::error::Error;
use crate::js;

/// Tokens to present, and with which key those are proven that name their holder.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) tokens: Vec<Bytes>,
    pub(crate) proofs: Proofs,
}

/// Tokens to prove, and the private half of the key.
pub(crate) type Proofs = Vec<(TokenHash, CryptoKey)>;

impl Credentials {
    /// Reads `accessTokens` and `holderKeys` of the object that a page gave.
    ///
    /// # Errors
    /// `invalid-argument` if one of them cannot be, or a token names a holder whose key is not there; `unsupported` where the
    /// browser has no WebCrypto for this page.
    pub(crate) async fn from_js(options: &JsValue) -> Result<Self, Error> {
        let signed: Vec<_> = list(&js::get(options, "accessTokens"))
            .iter()
            .map(token)
            .collect::<Result<_, _>>()?;
        let tokens: Vec<Bytes> = signed.iter().map(|token| token.encode().into()).collect();
        let all: usize = tokens.iter().map(|token| token.len() + 2).sum();
        if tokens.len() > AccessTokens::MAX_COUNT || all >= AccessTokens::MAX_LEN {
            let message = "accessTokens: at most 4 can be presented, of 6 KiB together";
            return Err(Error::argument(message));
        }
        let mut keys = Vec::new();
        for pair in list(&js::get(options, "holderKeys")) {
            keys.push((public_key(&pair).await?, half(&pair, "privateKey")?));
        }
        let mut proofs = Proofs::new();
        for token in &signed {
            let Some(holder) = token.claim().holder else {
                continue;
            };
            let Some((_, key)) = keys.iter().find(|(known, _)| *known == holder) else {
                let message = format!(
                    "accessTokens: one is for the holder of {holder}, whose key is not among holderKeys"
                );
                return Err(Error::argument(message));
            };
            // One that is presented twice is proven once.
            let hash = token.hash();
            if proofs.iter().all(|(known, _)| *known != hash) {
                proofs.push((hash, key.clone()));
            }
        }
        Ok(Self { tokens, proofs })
    }
}

/// What shows that the holder of `key` has the session.
pub(crate) async fn prove(
    key: &CryptoKey,
    token: &TokenHash,
    session: &SessionHash,
) -> Result<HolderProof, Error> {
    let algorithm = js::object(&[("name", "ECDSA".into()), ("hash", "SHA-256".into())]);
    let message = proof_message(token, session);
    let signing = subtle()?.sign_with_object_and_u8_array(&algorithm, key, &message);
    let signature = settled(signing, "sign with the holder's key").await?;
    let bytes = Uint8Array::new(&signature).to_vec();
    let bytes = bytes.try_into();
    bytes.map(HolderProof::new).map_err(|_| {
        Error::new(
            Code::INTERNAL,
            "the browser gave a signature of another length",
        )
    })
}

/// A new key pair for the holder of access tokens. The private half cannot be read, by no script.
#[wasm_bindgen(js_name = generateHolderKey)]
pub fn generate_holder_key() -> Promise {
    js::promise(async {
        let algorithm = js::object(&[("name", "ECDSA".into()), ("namedCurve", "P-256".into())]);
        let usages = Array::of2(&"sign".into(), &"verify".into());
        let generating = subtle()?.generate_key_with_object(&algorithm, false, &usages);
        settled(generating, "make a key").await
    })
}

/// The public half of a holder's key pair, as `stoq token issue --holder` takes it.
#[wasm_bindgen(js_name = holderPublicKey)]
pub fn holder_public_key(pair: JsValue) -> Promise {
    js::promise(async move { Ok(JsValue::from(public_key(&pair).await?.to_string())) })
}

async fn public_key(pair: &JsValue) -> Result<HolderKey, Error> {
    let key = half(pair, "publicKey")?;
    // Of public keys, none but the points of P-256 are exported as 65 bytes. The browser has checked that it is one.
    if js::get(&key, "type") != "public" {
        return Err(not_a_pair());
    }
    let exported = settled(subtle()?.export_key("raw", &key), "export the public key").await?;
    let bytes = Uint8Array::new(&exported).to_vec();
    HolderKey::from_trusted(&bytes).map_err(|_| not_a_pair())
}

fn half(pair: &JsValue, name: &str) -> Result<CryptoKey, Error> {
    let key = js::get(pair, name).dyn_into::<CryptoKey>();
    key.map_err(|_| not_a_pair())
}

fn not_a_pair() -> Error {
    Error::argument(
        "a holder's key must be a CryptoKeyPair of ECDSA with P-256, as generateHolderKey makes it",
    )
}

fn token(value: &JsValue) -> Result<SignedAccessToken, Error> {
    let read = match (value.dyn_ref::<Uint8Array>(), value.as_string()) {
        (Some(bytes), _) => {
            SignedAccessToken::decode(&bytes.to_vec()).map_err(|fault| fault.to_string())
        }
        (None, Some(text)) => text
            .parse()
            .map_err(|error: stoq_core::access::InvalidTokenText| error.to_string()),
        (None, None) => Err("a token is text, or bytes".into()),
    };
    read.map_err(|why| Error::argument(format!("accessTokens: {why}")))
}

/// One or several; none if it is `undefined`.
fn list(value: &JsValue) -> Vec<JsValue> {
    match value.dyn_ref::<Array>() {
        Some(values) => values.iter().collect(),
        None if value.is_undefined() => Vec::new(),
        None => vec![value.clone()],
    }
}

/// What the browser's promise comes to.
async fn settled(promise: Result<Promise, JsValue>, what: &str) -> Result<JsValue, Error> {
    let failed = |thrown: JsValue| {
        let message = format!("the browser could not {what}: {}", js::text(&thrown));
        Error::new(Code::INTERNAL, message)
    };
    let promise = promise.map_err(failed)?;
    JsFuture::from(promise).await.map_err(failed)
}

fn subtle() -> Result<SubtleCrypto, Error> {
    let crypto = js::global("crypto").unwrap_or_default();
    let subtle = js::get(&crypto, "subtle");
    if !subtle.is_object() {
        let message = "no WebCrypto here: it needs a page from https or localhost";
        return Err(Error::new(Code::UNSUPPORTED, message));
    }
    Ok(Object::from(subtle).unchecked_into())
}
