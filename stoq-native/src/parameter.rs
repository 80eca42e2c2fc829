//! What this end says of itself in the QUIC transport parameter of STOQ.

use stoq_core::identity::FalconId;
use stoq_core::transport_parameter::{Capabilities, TransportParameter};
use stoq_core::varint::VarInt;

/// For an endpoint with this identity, that takes these or not.
pub(crate) fn ours(
    identity: Option<FalconId>,
    framed_streams: bool,
    early_data: bool,
) -> TransportParameter {
    let mut capabilities = Capabilities::default();
    for (able, capability) in [
        (framed_streams, Capabilities::FRAMED),
        (early_data, Capabilities::EARLY_DATA),
    ] {
        if able {
            capabilities = capabilities.with(capability);
        }
    }
    TransportParameter {
        version: VarInt::from_u32(1),
        capabilities,
        identity,
        // Packet tokens and shards come with a later release: SHA-256, and none.
        token_algorithm: 0,
        max_shard: VarInt::from_u32(0),
    }
}
