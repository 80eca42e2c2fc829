use std::sync::Arc;
use std::time::Duration;

use stoq_core::channel::Delivery;
use stoq_core::falcon::VerifyingKey;
use stoq_core::frame::{Priority, TokenAlgorithm};
use stoq_core::identity::FalconId;
use stoq_core::replay::{ReplayWindow, TimeWindow};

use crate::falcon::FalconSigner;

/// How a verified stream is sent and received. The default signs nothing and believes nobody: it finds out what was changed
/// by accident, and no relay that means it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// How data is hashed. Default BLAKE3, which takes a third of SHA-256's time where processors have wide instructions.
    pub hash: HashFunction,
    /// Who signs what this end sends: a key, or an identity's ([`Identity::falcon_signer`](crate::Identity::falcon_signer)).
    /// Default `None`: receivers that name origins will not take it. Each run of 8 MiB or a quarter of a second costs a signature,
    /// about 1 ms of a thread.
    pub signer: Option<Arc<dyn FalconSigner>>,
    /// Who may have signed what this end receives. Default nobody: data is never more than pending, and an end that a relay
    /// cut is not told from one that was meant.
    pub origins: Arc<[FalconId]>,
    /// Keys of origins that need not announce them. Default none.
    pub keys: Vec<VerifyingKey>,
    /// Whether data is handed out when its signature has come (the default; up to 16 MiB are held back) or at once, as pending.
    pub delivery: Delivery,
    /// How long data that is held back may wait for its signature, while more is awaited or has to wait because the session's
    /// streams hold 64 MiB back together; then it is given up ([`Code::LIMIT`](crate::Code)). Default 30 s: signers sign after a
    /// quarter of a second, and paths may be away for a while.
    pub signature_timeout: Duration,
    /// How far the time of tokens may be from this end's. Default off.
    pub time_window: TimeWindow,
    /// How many of the newest datagrams are known by whether they came. Default 1024; streams need none.
    pub replay_window: ReplayWindow,
    /// Whether a signed answer may end although it is to less than this end has sent and [finished](crate::VerifiedSendStream::finish),
    /// on streams in both directions that this end opens. Default `false`: a relay may have cut the question short, and what
    /// came of it is refused. Set it where the far end may answer, and end, without having read all. Only of use with origins.
    pub partial_answers: bool,
    /// How urgent relays are to take the streams that this end opens. Default: they are told nothing.
    pub priority: Option<Priority>,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            hash: HashFunction::default(),
            signer: None,
            origins: Arc::default(),
            keys: Vec::new(),
            delivery: Delivery::default(),
            signature_timeout: Duration::from_secs(30),
            time_window: TimeWindow::default(),
            replay_window: ReplayWindow::default(),
            partial_answers: false,
            priority: None,
        }
    }
}

/// How data is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// BLAKE3.
    #[default]
    Blake3,
    /// SHA-256.
    Sha256,
}

impl HashFunction {
    pub(super) const fn algorithm(self) -> TokenAlgorithm {
        match self {
            Self::Blake3 => TokenAlgorithm::BLAKE3,
            Self::Sha256 => TokenAlgorithm::SHA256,
        }
    }
}

impl ChannelConfig {
    /// What this end sends is signed by `signer`.
    #[must_use]
    pub fn signed_by(mut self, signer: Arc<dyn FalconSigner>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// What this end receives must be signed by one of `origins`.
    #[must_use]
    pub fn from_origins(mut self, origins: impl IntoIterator<Item = FalconId>) -> Self {
        self.origins = origins.into_iter().collect();
        self
    }
}
