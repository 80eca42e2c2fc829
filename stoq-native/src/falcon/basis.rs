//! Whether a secret key is one, and belongs to a public key.
//!
//! PQClean signs with whatever it is given, and tries again until the result is short: with a damaged key, for ever. So the
//! arithmetic that makes a key one is done here, once, when a key is loaded ([Falcon specification], section 3.8.2):
//! `h f = g (mod q)`, and `f G - g F = q`, where `G` is the small solution of `G = h F (mod q)`.
//!
//! [Falcon specification]: https://falcon-sign.info/falcon.pdf

use stoq_core::falcon::PUBLIC_KEY_LEN;
use zeroize::Zeroizing;

type Polynomial = Zeroizing<Vec<i64>>;

/// Whether `secret` is the encoding of a short basis (`f`, `g`, `F`) that belongs to `public`.
pub(super) fn is_sound(public: &[u8; PUBLIC_KEY_LEN], secret: &[u8]) -> bool {
    parts(public, secret).is_some_and(|[h, f, g, big_f]| {
        let centred = |product: Polynomial| {
            Zeroizing::new(product.iter().map(|c| centre(*c)).collect::<Vec<_>>())
        };
        let big_g = centred(multiply(&h, &big_f));
        let is_public = *centred(multiply(&h, &f)) == *g;
        let is_short = big_g.iter().all(|c| c.abs() < 1 << (BIG_BITS - 1));
        let (left, right) = (multiply(&f, &big_g), multiply(&g, &big_f));
        let mut determinant = left.iter().zip(right.iter()).map(|(l, r)| l - r);
        is_public && is_short && determinant.next() == Some(Q) && determinant.all(|c| c == 0)
    })
}

/// `h`, `f`, `g` and `F`.
fn parts(public: &[u8; PUBLIC_KEY_LEN], secret: &[u8]) -> Option<[Polynomial; 4]> {
    let (&[SECRET_HEADER], secret) = secret.split_first_chunk()? else {
        return None;
    };
    let (f, rest) = secret.split_at_checked(SMALL_LEN)?;
    let (g, big_f) = rest.split_at_checked(SMALL_LEN)?;
    (big_f.len() == BIG_LEN).then_some(())?;
    Some([
        unpack(&public[1..], PUBLIC_BITS),
        sign_extend(unpack(f, SMALL_BITS), SMALL_BITS)?,
        sign_extend(unpack(g, SMALL_BITS), SMALL_BITS)?,
        sign_extend(unpack(big_f, BIG_BITS), BIG_BITS)?,
    ])
}

/// The product in the ring of polynomials modulo `x^1024 + 1`.
fn multiply(left: &[i64], right: &[i64]) -> Polynomial {
    let mut product = Zeroizing::new(vec![0; N]);
    for (i, l) in left.iter().enumerate() {
        let (low, high) = right.split_at(N - i);
        for (sum, r) in product[i..].iter_mut().zip(low) {
            *sum += l * r;
        }
        for (sum, r) in product.iter_mut().zip(high) {
            *sum -= l * r;
        }
    }
    product
}

/// The representative next to zero.
fn centre(coefficient: i64) -> i64 {
    let positive = coefficient.rem_euclid(Q);
    if positive > Q / 2 {
        positive - Q
    } else {
        positive
    }
}

/// Big-endian fields of `bits` bits each.
fn unpack(bytes: &[u8], bits: u32) -> Polynomial {
    let mut coefficients = Zeroizing::new(Vec::with_capacity(N));
    let (mut held, mut count) = (0u32, 0);
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        count += 8;
        while count >= bits {
            count -= bits;
            coefficients.push(i64::from(held >> count));
            held &= (1 << count) - 1;
        }
    }
    coefficients
}

/// Two's complement. The least value is no coefficient: its negative would not fit.
fn sign_extend(mut coefficients: Polynomial, bits: u32) -> Option<Polynomial> {
    let half = 1 << (bits - 1);
    for coefficient in coefficients.iter_mut() {
        if *coefficient == half {
            return None;
        }
        if *coefficient > half {
            *coefficient -= 2 * half;
        }
    }
    Some(coefficients)
}

/// The degree.
const N: usize = 1024;
/// The modulus.
const Q: i64 = 12289;
/// 0101 nnnn: coefficients in fixed width, degree 2^10.
const SECRET_HEADER: u8 = 0x5a;
/// Bits of a coefficient of the public key, of `f` and `g`, and of `F` and `G`.
const PUBLIC_BITS: u32 = 14;
const SMALL_BITS: u32 = 5;
const BIG_BITS: u32 = 8;
const SMALL_LEN: usize = N * SMALL_BITS as usize / 8;
const BIG_LEN: usize = N * BIG_BITS as usize / 8;

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::is_sound;

    #[test]
    fn a_key_is_sound_and_one_altered_bit_is_not() {
        let key = FalconKey::generate();
        let (public, secret) = (*key.public.as_bytes(), key.secret_bytes().to_vec());
        assert!(is_sound(&public, &secret));
        for at in (0..secret.len()).step_by(97) {
            let mut altered = secret.clone();
            altered[at] ^= 1 << (at % 8);
            assert!(!is_sound(&public, &altered), "secret byte {at}");
        }
        let other = FalconKey::generate();
        assert!(!is_sound(other.public.as_bytes(), &secret));
        assert!(!is_sound(&public, &secret[1..]));
        assert!(!is_sound(&public, &[]));
    }
}
