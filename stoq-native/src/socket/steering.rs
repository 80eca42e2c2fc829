//! Which of an endpoint's sockets a datagram belongs to.

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

/// Tells the worker by a datagram's destination connection ID, the same way here and in the kernel: by a keyed mix of its first
/// four bytes, modulo the number of workers.
///
/// IDs that we give out are drawn until they lead to the worker that gives them, so whatever address a client moves to, its
/// packets find their worker. The IDs that clients choose for their first packets are random, and spread evenly. The key keeps
/// observers from telling by two IDs whether they share a worker, and strangers from aiming at one; it is no cipher, and does not
/// have to be: all that it hides is log2(workers) bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steering {
    workers: u32,
    key: [u32; 2],
}

impl Steering {
    /// With a fresh key, to this many workers: at least 1, and elsewhere than on Linux no more.
    pub(crate) fn new(workers: u16) -> Self {
        let workers = if cfg!(target_os = "linux") {
            workers
        } else {
            1
        };
        let mut random = [0; 8];
        fill(&mut random);
        let key = u64::from_be_bytes(random);
        Self {
            workers: u32::from(workers.max(1)),
            key: [(key >> 32) as u32, key as u32],
        }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers as usize
    }

    /// The worker of a datagram; `None` if it is too short to have one.
    pub(crate) fn of_datagram(&self, datagram: &[u8]) -> Option<usize> {
        let at = if datagram.first()? & LONG_HEADER == 0 {
            SHORT_ID_AT
        } else {
            LONG_ID_AT
        };
        self.of_id(datagram.get(at..)?)
    }

    fn of_id(&self, id: &[u8]) -> Option<usize> {
        let mut mixed = u32::from_be_bytes(*id.first_chunk()?) ^ self.key[0];
        mixed = mixed.wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> SHIFT;
        mixed = mixed.wrapping_mul(self.key[1] | 1);
        mixed ^= mixed >> SHIFT;
        Some((mixed % self.workers) as usize)
    }

    /// [`of_datagram`](Self::of_datagram) for the kernel, as classic BPF. A load beyond the end gives worker 0.
    #[cfg(target_os = "linux")]
    pub(super) fn program(&self) -> [libc::sock_filter; 16] {
        use libc::{
            BPF_ABS, BPF_ALU, BPF_B, BPF_JA, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MISC, BPF_MOD,
            BPF_MUL, BPF_RET, BPF_RSH, BPF_TAX, BPF_W, BPF_X, BPF_XOR,
        };
        /// `BPF_A`, which libc does not name.
        const ACCUMULATOR: u32 = 0x10;
        let jump = |code: u32, k, jt, jf| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let op = |code, k| jump(code, k, 0, 0);
        let number = |offset: usize| offset as u32;
        [
            op(BPF_LD | BPF_B | BPF_ABS, 0),
            jump(BPF_JMP | BPF_JSET | BPF_K, LONG_HEADER.into(), 0, 2),
            op(BPF_LD | BPF_W | BPF_ABS, number(LONG_ID_AT)),
            op(BPF_JMP | BPF_JA, 1),
            op(BPF_LD | BPF_W | BPF_ABS, number(SHORT_ID_AT)),
            op(BPF_ALU | BPF_XOR | BPF_K, self.key[0]),
            op(BPF_ALU | BPF_MUL | BPF_K, MULTIPLIER),
            op(BPF_MISC | BPF_TAX, 0),
            op(BPF_ALU | BPF_RSH | BPF_K, SHIFT),
            op(BPF_ALU | BPF_XOR | BPF_X, 0),
            op(BPF_ALU | BPF_MUL | BPF_K, self.key[1] | 1),
            op(BPF_MISC | BPF_TAX, 0),
            op(BPF_ALU | BPF_RSH | BPF_K, SHIFT),
            op(BPF_ALU | BPF_XOR | BPF_X, 0),
            op(BPF_ALU | BPF_MOD | BPF_K, self.workers),
            op(BPF_RET | ACCUMULATOR, 0),
        ]
    }
}

/// Draws the connection IDs of one worker: eight bytes, random but that they lead to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identifiers {
    pub(crate) steering: Steering,
    pub(crate) worker: usize,
}

impl ConnectionIdGenerator for Identifiers {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_LEN];
        loop {
            fill(&mut id);
            if self.steering.of_id(&id) == Some(self.worker) {
                return ConnectionId::new(&id);
            }
        }
    }

    /// Of every ID that leads here, because one from before a restart is answered with a stateless reset. Of others it is not: the
    /// connection may well be another worker's.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let ours = self.steering.of_id(id) == Some(self.worker);
        ours.then_some(()).ok_or(InvalidCid)
    }

    fn cid_len(&self) -> usize {
        ID_LEN
    }

    fn cid_lifetime(&self) -> Option<core::time::Duration> {
        None
    }
}

fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system has random bytes");
}

/// As quinn's own: nobody guesses one, and each packet bears it.
const ID_LEN: usize = 8;
/// Set in the first byte of packets that say the length of their IDs ([RFC 9000, section 17.2]).
///
/// [RFC 9000, section 17.2]: https://www.rfc-editor.org/rfc/rfc9000#section-17.2
const LONG_HEADER: u8 = 0x80;
/// Behind first byte, version and the ID's length.
const LONG_ID_AT: usize = 6;
/// Behind the first byte.
const SHORT_ID_AT: usize = 1;
/// Odd, and with ones and zeros well mixed: 2^32 divided by the golden ratio.
const MULTIPLIER: u32 = 0x9e37_79b1;
const SHIFT: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_to_who_gives_them_and_hide_it_from_others() {
        for workers in [1u16, 2, 3, 4, 64] {
            let steering = Steering::new(workers);
            let other = Steering::new(workers);
            let mut elsewhere = 0;
            for worker in 0..usize::from(workers) {
                let mut identifiers = Identifiers { steering, worker };
                for _ in 0..50 {
                    let id = identifiers.generate_cid();
                    assert_eq!(id.len(), identifiers.cid_len());
                    assert!(identifiers.validate(&id).is_ok());
                    let mut short = vec![0x40];
                    short.extend_from_slice(&id);
                    assert_eq!(steering.of_datagram(&short), Some(worker));
                    let mut long = vec![0xc0, 0, 0, 0, 1, 8];
                    long.extend_from_slice(&id);
                    assert_eq!(steering.of_datagram(&long), Some(worker));
                    elsewhere += usize::from(other.of_id(&id) != Some(worker));
                }
            }
            assert_eq!(elsewhere > 0, workers > 1, "the key changes nothing");
        }
    }

    #[test]
    fn random_ids_spread_evenly() {
        let steering = Steering::new(4);
        let mut counts = [0u32; 4];
        for _ in 0..4000 {
            let mut id = [0; 8];
            fill(&mut id);
            counts[steering.of_id(&id).unwrap()] += 1;
        }
        // 1000 each, and a standard deviation of 27.
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn what_is_too_short_leads_nowhere() {
        let steering = Steering::new(4);
        for short in [&[][..], &[0x40, 1, 2, 3], &[0xc0, 0, 0, 0, 1, 8, 1, 2, 3]] {
            assert_eq!(steering.of_datagram(short), None);
        }
    }
}
