//! The library's arithmetic, with a shorter way to place what is missing.

use alloc::vec::Vec;

use reed_solomon_simd::engine::{Engine, GF_MODULUS, GF_ORDER, GfElement, ShardsRefMut, tables};

/// Takes what instructions the machine has, and 8 MiB of tables.
#[cfg(not(target_family = "wasm"))]
use reed_solomon_simd::engine::DefaultEngine as Arithmetic;

/// WebAssembly has none of those instructions; without them the tables save no time (they do not fit the cache), and a page
/// could not give their memory back.
#[cfg(target_family = "wasm")]
use reed_solomon_simd::engine::Naive as Arithmetic;

/// The library's engine for a code of at most 255 shards.
///
/// To rebuild, the library weighs each shard by the product of its differences to all that are missing, over all 65,536
/// places of its field: 0.2 ms, and 1 ms in WebAssembly, however small the message. A peer could ask for that with two
/// datagrams of a hundred bytes. Our shards have 512 of those places, so the sums are made for these alone.
pub(super) struct SmallEngine(Arithmetic);

/// Places of shards: data and parity, one of them rounded up to a power of two.
const PLACES: usize = 512;

impl SmallEngine {
    pub(super) fn new() -> Self {
        Self(Arithmetic::new())
    }
}

impl Engine for SmallEngine {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.fft(data, pos, size, truncated_size, skew_delta);
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.ifft(data, pos, size, truncated_size, skew_delta);
    }

    fn mul(&self, x: &mut [[u8; 64]], log_m: GfElement) {
        self.0.mul(x, log_m);
    }

    /// For each place `i`, the sum over the missing places `j` of `log(i xor j)`, modulo 65,535. Beyond `end` nothing is
    /// missing, and nobody asks.
    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], end: usize) {
        let log: &[GfElement; PLACES] = tables::get_exp_log()
            .log
            .first_chunk()
            .expect("the table is longer");
        let end = end.min(PLACES);
        let missing: Vec<usize> = (0..end).filter(|place| erasures[*place] != 0).collect();
        for place in 0..end {
            let sum: u32 = missing
                .iter()
                // A place does not count for itself, but the table has a number for log(0).
                .filter(|other| **other != place)
                .map(|other| u32::from(log[(place ^ other) % PLACES]))
                .sum();
            // Below 65,535, so it fits.
            erasures[place] = (sum % u32::from(GF_MODULUS)) as GfElement;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::*;

    #[test]
    fn places_weigh_what_the_library_says() {
        let mut state = 1u64;
        for round in 0..60 {
            let mut theirs = Box::new([0; GF_ORDER]);
            for place in &mut theirs[..PLACES] {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *place = (state >> 60 < round % 16) as GfElement;
            }
            let mut ours = theirs.clone();
            Arithmetic::eval_poly(&mut theirs, GF_ORDER);
            SmallEngine::eval_poly(&mut ours, PLACES);
            for (ours, theirs) in ours.iter().zip(theirs.iter()).take(PLACES) {
                // 0 and 65,535 are the same.
                assert_eq!(ours % GF_MODULUS, theirs % GF_MODULUS);
            }
        }
    }
}
