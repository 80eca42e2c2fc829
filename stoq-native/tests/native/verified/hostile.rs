//! Whatever a relay does to what it carries, the receiver knows, and where.

mod answers;
mod channels;
mod data;
mod signatures;

use bytes::Bytes;
use stoq_native::{ChannelError, Item, RefusedChannels, VerifiedReadError, VerifiedRecvStream};

use super::relay::{Frames, Path};
use super::{ORIGIN, signing, trusting};

/// Six messages of the origin in runs of two, or less where the machine is slow; what the relay makes of them; and what the
/// client is told.
async fn carried(tamper: impl FnOnce(&mut Frames)) -> (Vec<u8>, Result<(), ChannelError>) {
    let path = Path::new().await;
    let send = async {
        let mut send = path
            .origin
            .open_verified_uni(&signing(&ORIGIN))
            .await
            .unwrap();
        for message in 0..6 {
            send.write(Bytes::from(vec![message; 1000])).await.unwrap();
            if message % 2 == 1 {
                send.flush().await.unwrap();
            }
        }
        send.finish().await.unwrap();
    };
    let receive = async {
        let config = trusting(&ORIGIN);
        let mut receive = path.client.accept_verified_uni(&config).await.unwrap();
        verified(&mut receive).await
    };
    let ((), relayed, found) = tokio::join!(send, path.carry_uni(tamper), receive);
    let expected = found.1.as_ref().map_err(ChannelError::code).err();
    if let Some(code) = expected {
        let told = relayed.stopped().await.unwrap();
        assert!(told.is_none_or(|told| told == code), "{told:?}");
        let stats = path.client.stats().refused;
        assert_ne!(stats, RefusedChannels::default(), "it is counted");
    }
    drop(relayed);
    path.close().await;
    found
}

/// What is verified, and how it ends.
async fn verified(receive: &mut VerifiedRecvStream) -> (Vec<u8>, Result<(), ChannelError>) {
    let mut read = Vec::new();
    loop {
        match receive.next().await {
            Ok(Some(Item::Data { data, verified, .. })) => {
                assert!(verified);
                read.extend_from_slice(&data);
            }
            Ok(Some(_)) => {}
            Ok(None) => return (read, Ok(())),
            Err(VerifiedReadError::Channel(error)) => return (read, Err(error)),
            Err(VerifiedReadError::Read(error)) => panic!("{error}"),
        }
    }
}

fn messages(count: u8) -> Vec<u8> {
    (0..count).flat_map(|message| [message; 1000]).collect()
}

/// Whether this is what was sent, as far as it goes.
fn is_prefix(read: &[u8]) -> bool {
    messages(6).starts_with(read)
}
