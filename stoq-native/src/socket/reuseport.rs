//! Sockets that share a port on Linux, and the program by which the kernel chooses among them.

use core::mem::size_of_val;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use socket2::Socket;

use super::Bound;
use super::siblings::Siblings;
use super::steering::Steering;

/// Binds as many sockets as there are workers, made by `unbound`. The program numbers them in this order.
///
/// # Errors
/// What the system says.
pub(super) fn bind(
    address: SocketAddr,
    steering: Steering,
    unbound: impl Fn() -> io::Result<Socket>,
) -> io::Result<Vec<Bound>> {
    let first = unbound()?;
    // Alone, so that somebody who is there already is noticed. From then on others of the same user may share the port.
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    // With the port, if any was asked for.
    let bound_at = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < steering.workers() {
        let socket = unbound()?;
        socket.set_reuse_port(true)?;
        socket.bind(&bound_at)?;
        sockets.push(socket);
    }
    attach(&sockets[0], &steering.program())?;
    let sockets: Vec<UdpSocket> = sockets.into_iter().map(Into::into).collect();
    let siblings = Siblings::of(steering, &sockets)?;
    let bound = sockets.into_iter().zip(siblings);
    Ok(bound
        .map(|(socket, siblings)| Bound {
            socket,
            siblings: Some(siblings),
        })
        .collect())
}

/// Puts the program in front of all sockets that share this one's address.
///
/// # Errors
/// What the system says.
#[expect(unsafe_code, reason = "no safe crate has this option")]
fn attach(socket: &Socket, program: &[libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the descriptor is open, as `socket` is borrowed. The option's value is a `sock_fprog` of the length given, and it
    // points at `len` instructions; both outlive the call, which copies them and writes to neither.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            size_of_val(&filter) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
