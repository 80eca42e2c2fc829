//! What a client may ask of a session beside its service.

use stoq_core::frame::Hop;
use stoq_core::hops::{HopError, check_route};
use stoq_core::identity::FalconId;

use super::ConnectError;

/// What a client asks of one session beside its service. The default asks for nothing.
///
/// ```
/// use stoq_native::{ConnectOptions, FalconId};
///
/// # fn options(second: FalconId, third: FalconId) -> ConnectOptions {
/// // The URL names the first relay, this the relays behind it.
/// let mut options = ConnectOptions::default();
/// options.route = vec![second, third];
/// # options
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The relays to pass behind the server that is connected to, which is the first relay then, in their order; at most 16.
    /// Each relay knows only those that it may forward to, by their identities, and the last one decides by the service's
    /// name who the target is. Default: none.
    pub route: Vec<FalconId>,
    /// The most relays that the request may pass, the first one included; at most 16. Default `None`: as many as each relay
    /// allows, 8 unless it says otherwise.
    pub max_hops: Option<u8>,
}

impl ConnectOptions {
    /// What no server could do is not asked for.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let limit = self.max_hops.unwrap_or(Hop::MAX_HOPS);
        if limit > Hop::MAX_HOPS {
            let error = HopError::TooManyHops {
                limit: Hop::MAX_HOPS,
                got: limit.into(),
            };
            return Err(ConnectError::Route(error));
        }
        check_route(&self.route, limit).map_err(ConnectError::Route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_cannot_be_gone_is_not_begun() {
        let code = |route: &[u8], max_hops| {
            let route = route.iter().map(|n| FalconId::new([*n; 32])).collect();
            let options = ConnectOptions { route, max_hops };
            options.check().map_err(|error| error.code())
        };
        assert_eq!(code(&[1, 2, 3], None), Ok(()));
        assert_eq!(code(&[1, 2, 1], None), Err(crate::Code::HOP_LOOP));
        assert_eq!(code(&[1, 2], Some(1)), Err(crate::Code::TOO_MANY_HOPS));
        assert_eq!(code(&[], Some(17)), Err(crate::Code::TOO_MANY_HOPS));
        assert_eq!(code(&[7; 17], None), Err(crate::Code::TOO_MANY_HOPS));
    }
}
