//! The system's buffers of a socket: asked for, and looked at.

use core::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Socket;

use super::SocketConfig;

/// Asks for both buffers. Who gets less is told so, once.
pub(super) fn ask(socket: &Socket, config: &SocketConfig) {
    static SEND: AtomicBool = AtomicBool::new(false);
    static RECEIVE: AtomicBool = AtomicBool::new(false);
    let (send, receive) = (config.send_buffer, config.receive_buffer);
    let send = Buffer::SEND.ask(socket, send as usize);
    let receive = Buffer::RECEIVE.ask(socket, receive as usize);
    tell(send, &SEND);
    tell(receive, &RECEIVE);
}

/// Once, whatever the number of sockets: the second warning would say nothing that the first has not.
fn tell(shortfall: Option<Shortfall>, told: &AtomicBool) {
    if let Some(shortfall) = shortfall
        && !told.swap(true, Ordering::Relaxed)
    {
        tracing::warn!("{shortfall}");
    }
}

/// One of the buffers.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    name: &'static str,
    /// What bounds it on Linux.
    sysctl: &'static str,
    /// What a small one costs.
    cost: &'static str,
    set: fn(&Socket, usize) -> io::Result<()>,
    size: fn(&Socket) -> io::Result<usize>,
}

impl Buffer {
    const SEND: Self = Self {
        name: "send",
        sysctl: "net.core.wmem_max",
        cost: "bursts are sent in pieces",
        set: Socket::set_send_buffer_size,
        size: Socket::send_buffer_size,
    };
    const RECEIVE: Self = Self {
        name: "receive",
        sysctl: "net.core.rmem_max",
        cost: "bursts are lost and sent again",
        set: Socket::set_recv_buffer_size,
        size: Socket::recv_buffer_size,
    };

    /// What is missing, if the system grants less.
    fn ask(self, socket: &Socket, asked: usize) -> Option<Shortfall> {
        let refused = (self.set)(socket, asked).err();
        let reported = (self.size)(socket).unwrap_or_default();
        // Linux reports twice what it grants: half of it is for its own book-keeping (socket(7)).
        let granted = if cfg!(target_os = "linux") {
            reported / 2
        } else {
            reported
        };
        (granted < asked).then_some(Shortfall {
            buffer: self,
            asked,
            granted,
            refused,
        })
    }
}

/// The system grants less than was asked for.
#[derive(Debug)]
struct Shortfall {
    buffer: Buffer,
    asked: usize,
    granted: usize,
    refused: Option<io::Error>,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Buffer {
            name, sysctl, cost, ..
        } = self.buffer;
        write!(
            f,
            "the system grants the socket a {name} buffer of {} bytes of the {} asked for, so {cost}",
            self.granted, self.asked
        )?;
        if let Some(error) = &self.refused {
            write!(f, " ({error})")?;
        }
        if cfg!(target_os = "linux") {
            write!(f, "; `sysctl -w {sysctl}={}` allows it", self.asked)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicUsize;
    use std::sync::{Arc, Mutex};

    use socket2::{Domain, Type};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Keeps the warnings.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            static NEXT: AtomicUsize = AtomicUsize::new(1);
            Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed) as u64)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    impl Visit for Log {
        fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }

    #[test]
    fn what_is_granted_in_full_is_not_told() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        assert!(Buffer::SEND.ask(&socket, 8192).is_none());
        assert!(Buffer::RECEIVE.ask(&socket, 8192).is_none());
    }

    #[test]
    fn a_smaller_buffer_is_told_once_with_what_allows_the_larger() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let log = Log::default();
        let told = AtomicBool::new(false);
        tracing::subscriber::with_default(log.clone(), || {
            // No administrator allows a gigabyte.
            for _ in 0..2 {
                tell(Buffer::RECEIVE.ask(&socket, 1 << 30), &told);
            }
        });
        let told = log.0.lock().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("of the 1073741824 asked for"), "{told:?}");
        if cfg!(target_os = "linux") {
            assert!(told[0].contains("net.core.rmem_max=1073741824"), "{told:?}");
        }
    }
}
