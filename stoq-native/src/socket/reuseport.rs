//! Sockets that share a port on Linux, and the program by which the kernel chooses among them.

use core::mem::size_of_val;
use std::io;
use std::os::fd::AsRawFd as _;

use socket2::Socket;

/// Puts the program in front of all sockets that share this one's address.
///
/// # Errors
/// What the system says.
#[expect(unsafe_code, reason = "no safe crate has this option")]
pub(super) fn attach(socket: &Socket, program: &[libc::sock_filter]) -> io::Result<()> {
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
