//! The Reed–Solomon code, with bounds on the memory it works in.
//!
//! Of the library's two forms it is the one for more data than parity, whatever the counts are: the other would be quicker
//! only where there is more parity, and as much code again in a page.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use reed_solomon_simd::{
    Error,
    rate::{HighRateDecoder, HighRateEncoder, RateDecoder as _, RateEncoder as _},
};

use self::engine::SmallEngine;
use super::Plan;

mod engine;

/// The most bytes that the code works in while it makes parity or puts a message together, 1 MiB: each of up to 512 rows,
/// twice the shards rounded up to a power of two, gets 2 KiB. Longer shards, which no usual path carries, are worked
/// through piece by piece, so that the lengths a peer announces cannot multiply its memory.
pub const WORK_LEN: usize = 1024 * 1024;

/// The code works on columns of this many bytes, each on its own, so that shards can be cut between them.
const COLUMN: usize = 64;

/// The parity shards of `plan`, one behind the other. `shard` gives the data shards.
pub(super) fn parity<'a>(plan: &Plan, shard: impl Fn(u16) -> &'a [u8]) -> Vec<u8> {
    let mut parity = vec![0; usize::from(plan.parity) * plan.shard_len];
    for piece in pieces(plan.data, plan.parity, plan.shard_len) {
        let piece_of = |index| &shard(index)[piece.clone()];
        // Not `expect`, which would show the library's errors: a kilobyte in a page.
        let Ok(()) = encode(plan, piece_of, &mut parity, piece.clone()) else {
            unreachable!("a plan has at most 255 shards of one even length");
        };
    }
    parity
}

fn encode<'a>(
    plan: &Plan,
    shard: impl Fn(u16) -> &'a [u8],
    parity: &mut [u8],
    piece: Range<usize>,
) -> Result<(), Error> {
    let mut encoder = {
        let (data, parity) = (plan.data.into(), plan.parity.into());
        HighRateEncoder::new(data, parity, piece.len(), SmallEngine::new(), None)?
    };
    for index in 0..plan.data {
        encoder.add_original_shard(shard(index))?;
    }
    let rows = parity.chunks_exact_mut(plan.shard_len);
    for (row, made) in rows.zip(encoder.encode()?.recovery_iter()) {
        row[piece.clone()].copy_from_slice(made);
    }
    Ok(())
}

/// Fills in the data shards that are missing from `rows`, `data` shards one behind the other. `shards` are those that
/// came, by their index, at least `data` different ones of one even length.
pub(super) fn restore<'a>(
    (data, parity): (u16, u16),
    shards: impl Iterator<Item = (u16, &'a [u8])> + Clone,
    rows: &mut [u8],
) -> Result<(), Error> {
    let shard_len = rows.len() / usize::from(data);
    for piece in pieces(data, parity, shard_len) {
        let mut decoder = {
            let (data, parity) = (data.into(), parity.into());
            HighRateDecoder::new(data, parity, piece.len(), SmallEngine::new(), None)?
        };
        for (index, shard) in shards.clone() {
            let shard = &shard[piece.clone()];
            match index.checked_sub(data) {
                None => decoder.add_original_shard(index.into(), shard)?,
                Some(index) => decoder.add_recovery_shard(index.into(), shard)?,
            }
        }
        for (index, restored) in decoder.decode()?.restored_original_iter() {
            rows[index * shard_len..][piece.clone()].copy_from_slice(restored);
        }
    }
    Ok(())
}

/// The parts of a shard that are worked through one at a time.
fn pieces(data: u16, parity: u16, shard_len: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = 2 * usize::from(data + parity).next_power_of_two();
    let longest = WORK_LEN / rows / COLUMN * COLUMN;
    (0..shard_len)
        .step_by(longest)
        .map(move |start| start..shard_len.min(start + longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that differ from shard to shard and along each.
    fn data(plan: &Plan) -> Vec<u8> {
        (0..usize::from(plan.data) * plan.shard_len)
            .map(|at| (at * 31 + at / 251) as u8)
            .collect()
    }

    fn plan(data: u16, parity: u16, shard_len: usize) -> Plan {
        Plan {
            message_len: usize::from(data) * shard_len,
            data,
            parity,
            shard_len,
        }
    }

    #[test]
    fn pieces_give_the_same_parity_as_the_whole() {
        let plan = plan(100, 28, 2 * WORK_LEN / 256 + 22);
        assert_eq!(pieces(100, 28, plan.shard_len).count(), 3);
        let data = data(&plan);
        let row = |index| &data[usize::from(index) * plan.shard_len..][..plan.shard_len];
        let mut whole = vec![0; 28 * plan.shard_len];
        encode(&plan, row, &mut whole, 0..plan.shard_len).unwrap();
        assert!(parity(&plan, row) == whole);
    }

    #[test]
    fn pieces_are_restored_like_the_whole() {
        let plan = plan(3, 252, 4_100);
        let data = data(&plan);
        let row = |index| &data[usize::from(index) * plan.shard_len..][..plan.shard_len];
        let parity = parity(&plan, row);
        let came = [0, 101, 251].map(|at: u16| {
            let from = usize::from(at) * plan.shard_len;
            (at + 3, &parity[from..][..plan.shard_len])
        });
        let mut rows = vec![0; data.len()];
        restore((3, 252), came.into_iter(), &mut rows).unwrap();
        assert!(rows == data);
    }

    #[test]
    fn no_piece_needs_more_than_the_work_length() {
        for shards in 2..=255 {
            for len in [2, 1_200, 65_464] {
                let mut next = 0;
                for piece in pieces(1, shards - 1, len) {
                    assert_eq!((piece.start, piece.len() % 2), (next, 0));
                    let rows = 2 * usize::from(shards).next_power_of_two();
                    assert!(piece.len().next_multiple_of(COLUMN) * rows <= WORK_LEN);
                    next = piece.end;
                }
                assert_eq!(next, len);
            }
        }
    }
}
