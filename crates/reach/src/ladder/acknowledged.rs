//! How much of what was written to a connection the other side has acknowledged.

use std::io;
use std::net::TcpStream;

use nix::libc;
use nix::sys::socket::{getsockopt, sockopt::GetStruct};

/// The first 128 bytes of Linux' `tcp_info` (since Linux 4.1) as words, of which the last is
/// `tcpi_bytes_acked`.
type Info = [u64; 16];

#[derive(Clone, Copy)]
struct TcpInfo;

nix::getsockopt_impl!(TcpInfo, libc::IPPROTO_TCP, libc::TCP_INFO, Info, GetStruct<Info>);

/// In bytes, since the connection was made; its first packet counts as one.
///
/// # Errors
/// When the machine does not tell.
pub(super) fn acknowledged(stream: &TcpStream) -> io::Result<usize> {
    let [.., bytes] = getsockopt(stream, TcpInfo)?;
    usize::try_from(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_has_arrived_is_acknowledged_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("a line");
        let before = acknowledged(&stream).expect("Linux");
        stream.write_all(&[7; 10_000]).expect("room for them");
        let (mut theirs, _) = listener.accept().expect("it was dialled");
        theirs.read_exact(&mut [0; 10_000]).expect("they came");
        // Their word travels with the acknowledgement.
        theirs.write_all(b"!").expect("room for it");
        stream.read_exact(&mut [0]).expect("it came");
        assert_eq!(acknowledged(&stream).expect("Linux") - before, 10_000);
    }
}
