//! Makes the FALCON-1024 vectors of stoq-core: `cargo run --release -p stoq-native --example falcon-vectors -- stoq-core/tests/vectors`
//!
//! PQClean's `falcon-padded-1024` makes the keys and the signatures, without any code of ours in between, and judges each
//! vector before it is written. The keys are new each time and forgotten, so a second run makes other files of the same kinds.
//! The layout of the files stands in `stoq-core/tests/vectors/README.md`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use pqcrypto_falcon::falconpadded1024 as pqclean;
use pqcrypto_traits::sign::{DetachedSignature as _, PublicKey as _};
use stoq_core::endpoint_record::{EndpointRecord, SignedEndpointRecord};
use stoq_core::falcon::{Domain, MAX_SIGNED_LEN, SIGNATURE_LEN, Signature, VerifyingKey};
use stoq_core::grant::{Grant, SignedGrant};
use stoq_core::identity::FalconId;
use stoq_core::time::UnixMicros;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("name the folder to write to, stoq-core/tests/vectors");
        return ExitCode::from(64);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write to {}: {error}", folder.display());
            ExitCode::from(73)
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let keys: Vec<_> = (0..KEYS).map(|_| Key::new()).collect();
    let mut vectors = Vec::new();
    for number in 0..COUNT {
        // Each bad kind in turn, as long as it is wanted; all else is good.
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let wanted = number / Kind::ALL.len() < kind.wanted();
        let kind = if wanted { kind } else { Kind::Good };
        vectors.push(vector(kind, number, &keys));
    }
    fs::write(folder.join("falcon.bin"), file(&keys, &vectors))?;
    // One of each kind comes first.
    let few = &vectors[..Kind::ALL.len()];
    fs::write(folder.join("falcon-few.bin"), file(&keys, few))?;
    fs::write(folder.join("grant.bin"), grant(&keys[0], keys[1].id()))?;
    fs::write(folder.join("endpoint-record.bin"), record(&keys[0]))
}

/// What is wrong with a vector. The numbers stand in the file.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Good = 0,
    /// Without the zeros at its end, which PQClean accepts.
    Stripped = 1,
    TooLong = 2,
    Key = 3,
    Label = 4,
    Message = 5,
    Padding = 6,
    Nonce = 7,
    Altered = 8,
    Header = 9,
    Zeros = 10,
    /// A good signature over more than STOQ ever signs.
    TooMuch = 11,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Good,
        Self::Stripped,
        Self::TooLong,
        Self::Key,
        Self::Label,
        Self::Message,
        Self::Padding,
        Self::Nonce,
        Self::Altered,
        Self::Header,
        Self::Zeros,
        Self::TooMuch,
    ];

    /// How many of a bad kind. Those with messages of 4 KB are few, to keep the file small.
    const fn wanted(self) -> usize {
        match self {
            Self::TooMuch => 5,
            _ => 30,
        }
    }
}

struct Key {
    public: pqclean::PublicKey,
    secret: pqclean::SecretKey,
}

impl Key {
    fn new() -> Self {
        let (public, secret) = pqclean::keypair();
        Self { public, secret }
    }

    fn verifying(&self) -> VerifyingKey {
        VerifyingKey::try_from(self.public.as_bytes()).expect("a new key")
    }

    fn id(&self) -> FalconId {
        self.verifying().id()
    }

    /// A signature with padding at its end: all but one in a million have some.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        loop {
            let signature = pqclean::detached_sign(message, &self.secret);
            if let [.., 0] = signature.as_bytes() {
                assert_eq!(signature.as_bytes().len(), SIGNATURE_LEN);
                return signature.as_bytes().to_vec();
            }
        }
    }

    /// PQClean's own verdict.
    fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        pqclean::DetachedSignature::from_bytes(signature).is_ok_and(|signature| {
            pqclean::verify_detached_signature(&signature, message, &self.public).is_ok()
        })
    }
}

/// `kind [1] · label [1] · key [1] · mend at [2] · mend xor [1] · length [2] · message · length [2] · signature`
fn vector(kind: Kind, number: usize, keys: &[Key]) -> Vec<u8> {
    let count = number / Kind::ALL.len();
    let (mut label, mut key) = (count % Domain::ALL.len(), number % keys.len());
    let domain = Domain::ALL[label].label();
    let room = MAX_SIGNED_LEN - domain.len();
    let length = match (kind, number) {
        (Kind::TooMuch, _) => room + 1 + count,
        (_, LONGEST) => room,
        (Kind::Good, _) => number % 97,
        _ => 1 + number % 97,
    };
    let mut message: Vec<u8> = (0..length).map(|at| (at * 7 + number) as u8).collect();
    let signer = &keys[key];
    let mut signature = signer.sign(&[domain.as_bytes(), &message].concat());
    let data = SIGNATURE_LEN
        - signature
            .iter()
            .rev()
            .take_while(|byte| **byte == 0)
            .count();
    let bit = 1u8 << (count % 8);
    let (mut at, mut xor) = (0, 0);
    match kind {
        Kind::Good | Kind::TooMuch => {}
        Kind::Stripped => signature.truncate(data),
        Kind::TooLong => signature.resize(SIGNATURE_LEN + 1 + count * count, count as u8 % 2),
        Kind::Key => (at, key) = (key, (key + 1 + count % (keys.len() - 1)) % keys.len()),
        Kind::Label => (at, label) = (label, (label + 1) % Domain::ALL.len()),
        Kind::Message => (at, xor) = (count % length, bit),
        // In every other one a bit below the last one of the last byte of data, if that has any.
        Kind::Padding if count.is_multiple_of(2) && signature[data - 1] & 1 == 0 => {
            (at, xor) = (data - 1, 1);
        }
        Kind::Padding => (at, xor) = (data + count % (SIGNATURE_LEN - data), bit),
        Kind::Nonce => (at, xor) = (NONCE.start + (count * 7) % NONCE.len(), bit),
        Kind::Altered => (at, xor) = (NONCE.end + (count * 41) % (data - NONCE.end), bit),
        Kind::Header => (at, xor) = (0, 1 + (count * 8) as u8),
        Kind::Zeros => signature.fill(0),
    }
    match kind {
        Kind::Message => message[at] ^= xor,
        _ if xor != 0 => signature[at] ^= xor,
        _ => {}
    }
    let signed = [Domain::ALL[label].label().as_bytes(), &message].concat();
    let accepted = matches!(kind, Kind::Good | Kind::Stripped | Kind::TooMuch);
    assert_eq!(keys[key].accepts(&signed, &signature), accepted, "{number}");

    let mut out = vec![kind as u8, label as u8, key as u8];
    out.extend(u16::to_be_bytes(at as u16));
    out.push(xor);
    for bytes in [&message, &signature] {
        out.extend(u16::to_be_bytes(bytes.len() as u16));
        out.extend_from_slice(bytes);
    }
    out
}

/// `magic · count [1] · labels · count [1] · keys · count [2] · vectors`
fn file(keys: &[Key], vectors: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"STOQ FALCON-1024 vectors 1\n".to_vec();
    out.push(Domain::ALL.len() as u8);
    for domain in Domain::ALL {
        out.push(domain.label().len() as u8);
        out.extend_from_slice(domain.label().as_bytes());
    }
    out.push(keys.len() as u8);
    for key in keys {
        out.extend_from_slice(key.public.as_bytes());
    }
    out.extend(u16::to_be_bytes(vectors.len() as u16));
    out.extend(vectors.concat());
    out
}

/// A grant of this authority, from 14 November 2023 to a day later.
fn grant(authority: &Key, subject: FalconId) -> Vec<u8> {
    let grant = Grant {
        authority: authority.id(),
        subject,
        serial: 7,
        not_before: NOT_BEFORE,
        not_after: NOT_AFTER,
        names: vec!["127.0.0.1".into(), "gateway.example".into()],
    };
    let signed = grant.to_be_signed().expect("the names are canonical");
    let signature = signature(authority, Domain::GRANT, &signed);
    SignedGrant::new(grant, signature)
        .expect("it was encoded above")
        .encode()
}

/// An endpoint record by this key, for the same day.
fn record(key: &Key) -> Vec<u8> {
    let record = EndpointRecord {
        authority: "gateway.example:443".into(),
        serial: 7,
        not_before: NOT_BEFORE,
        expiry: NOT_AFTER,
        certificate_hashes: vec![[1; 32], [2; 32]],
    };
    let signed = record
        .to_be_signed(&key.verifying())
        .expect("the form is canonical");
    let signature = signature(key, Domain::ENDPOINT_RECORD, &signed);
    SignedEndpointRecord::new(record, key.verifying(), signature)
        .expect("it was encoded above")
        .encode()
}

fn signature(key: &Key, domain: Domain, signed: &[u8]) -> Signature {
    let message = [domain.label().as_bytes(), signed].concat();
    Signature::try_from(&key.sign(&message)[..]).expect("1280 bytes")
}

const COUNT: usize = 1000;
const KEYS: usize = 5;
/// The good vector with the longest message that is signed.
const LONGEST: usize = Kind::ALL.len() * 2;
const NONCE: std::ops::Range<usize> = 1..41;
const NOT_BEFORE: UnixMicros = UnixMicros(1_700_000_000_000_000);
const NOT_AFTER: UnixMicros = UnixMicros(NOT_BEFORE.0 + 24 * 60 * 60 * 1_000_000);
