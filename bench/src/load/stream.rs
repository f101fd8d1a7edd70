//! What a connection goes through, with blocking calls.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::http2::Tunnel;
use super::tls::TlsStream;
use super::web::Web;

/// A stream of bytes to the datacentre, or to a proxy that leads to it.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Http2(Box<Tunnel>),
    Web(Box<Web>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Http2(stream) => stream.read(buffer),
            Self::Web(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Http2(stream) => stream.write(bytes),
            Self::Web(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Http2(stream) => stream.flush(),
            Self::Web(stream) => stream.flush(),
        }
    }
}
