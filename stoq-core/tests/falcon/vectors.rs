//! Checks a file of FALCON-1024 vectors: natively, in Node and in browsers, from this one source.
//!
//! `../vectors/README.md` has the layout. It is not enough that a bad vector is refused: with its one fault mended it must be
//! accepted, so that it was refused for this fault.

use std::borrow::Cow;
use std::collections::BTreeMap;

use stoq_core::falcon::{Domain, PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey};
use stoq_core::reader::{Fault, Reader};

/// Checks each vector, and says how many of each kind there were.
///
/// # Errors
/// The first vector that was not answered as it should be, or what is wrong with the file.
pub(crate) fn check(file: &[u8]) -> Result<BTreeMap<&'static str, usize>, String> {
    let file = File::read(file).map_err(|fault| format!("the file is damaged: {fault}"))?;
    let mut counts = BTreeMap::new();
    for (number, vector) in file.vectors.iter().enumerate() {
        let kind = KINDS.get(usize::from(vector.kind));
        let kind = *kind.ok_or_else(|| format!("vector {number}: no kind {}", vector.kind))?;
        if file.accepts(vector)? != (kind == "good") {
            return Err(format!("vector {number}, {kind}: answered wrongly"));
        }
        if let Some(mended) = vector.mended(kind)
            && !file.accepts(&mended)?
        {
            return Err(format!("vector {number}, {kind}: refused when mended"));
        }
        *counts.entry(kind).or_default() += 1;
    }
    Ok(counts)
}

/// By their numbers in the file.
pub(crate) const KINDS: [&str; 12] = [
    "good",
    "stripped",
    "too long",
    "wrong key",
    "wrong label",
    "altered message",
    "padding set",
    "altered nonce",
    "altered signature",
    "wrong header",
    "zeros",
    "too much signed",
];

struct File<'a> {
    labels: Vec<&'a [u8]>,
    keys: Vec<VerifyingKey>,
    vectors: Vec<Vector<'a>>,
}

#[derive(Clone)]
struct Vector<'a> {
    kind: u8,
    label: u8,
    key: u8,
    at: u16,
    xor: u8,
    message: Cow<'a, [u8]>,
    signature: Cow<'a, [u8]>,
}

impl<'a> File<'a> {
    fn read(file: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(file);
        if reader.bytes(MAGIC.len())? != MAGIC {
            let (field, got) = ("magic", 0);
            return Err(Fault::OutOfRange { field, got });
        }
        let mut labels = Vec::new();
        for _ in 0..reader.u8()? {
            let length = reader.u8()?.into();
            labels.push(reader.bytes(length)?);
        }
        let mut keys = Vec::new();
        for _ in 0..reader.u8()? {
            let key = VerifyingKey::from_bytes(reader.array::<PUBLIC_KEY_LEN>()?);
            let (field, got) = ("key", keys.len() as u64);
            keys.push(key.map_err(|_| Fault::OutOfRange { field, got })?);
        }
        let mut vectors = Vec::new();
        for _ in 0..reader.u16()? {
            vectors.push(Vector::read(&mut reader)?);
        }
        reader.end()?;
        Ok(Self {
            labels,
            keys,
            vectors,
        })
    }

    fn accepts(&self, vector: &Vector<'_>) -> Result<bool, String> {
        let label = self.labels.get(usize::from(vector.label));
        let label = label.ok_or("a label that the file has not")?;
        let mut known = Domain::ALL.iter();
        let domain = known.find(|domain| domain.label().as_bytes() == *label);
        let domain = *domain.ok_or("a label that core does not know")?;
        let key = self.keys.get(usize::from(vector.key));
        let key = key.ok_or("a key that the file has not")?;
        let Ok(signature) = Signature::try_from(&*vector.signature) else {
            return Ok(false);
        };
        // In two parts, somewhere: where they are parted must not matter.
        let middle = usize::from(vector.signature[7]) % (vector.message.len() + 1);
        let (front, back) = vector.message.split_at(middle);
        Ok(key.verify(domain, &[front, back], &signature).is_ok())
    }
}

impl<'a> Vector<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let [kind, label, key] = *reader.array()?;
        let (at, xor) = (reader.u16()?, reader.u8()?);
        let length = reader.u16()?.into();
        let message = reader.bytes(length)?.into();
        let length = reader.u16()?.into();
        let signature = reader.bytes(length)?.into();
        Ok(Self {
            kind,
            label,
            key,
            at,
            xor,
            message,
            signature,
        })
    }

    /// The vector without its fault; none if there is nothing to mend.
    fn mended(&self, kind: &str) -> Option<Self> {
        let mut mended = self.clone();
        let at = usize::from(self.at);
        match kind {
            "good" | "zeros" | "too much signed" => return None,
            "stripped" | "too long" => mended.signature.to_mut().resize(SIGNATURE_LEN, 0),
            "wrong key" => mended.key = self.at as u8,
            "wrong label" => mended.label = self.at as u8,
            "altered message" => mended.message.to_mut()[at] ^= self.xor,
            _ => mended.signature.to_mut()[at] ^= self.xor,
        }
        Some(mended)
    }
}

const MAGIC: &[u8] = b"STOQ FALCON-1024 vectors 1\n";
