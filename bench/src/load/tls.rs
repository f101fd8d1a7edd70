//! TLS, for as little CPU as can be: one cipher suite, one group, no resumption.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use lab::{Error, Result};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::certificate::NAME;

/// How much is read from the kernel at a time.
const READ: usize = 64 << 10;

/// What a user asks of a TLS server. The same of all, so all do the same work.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// Believes these roots, and speaks this protocol inside.
    pub(crate) fn new(roots: &RootCertStore, protocol: &str) -> Result<Self> {
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| bad(&error))?
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from(NAME).map_err(|error| bad(&error))?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// Speaks TLS on a connection. The handshake comes with the first bytes.
    pub(super) fn over(&self, stream: TcpStream) -> Result<TlsStream> {
        let client = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|error| bad(&error))?;
        Ok(StreamOwned::new(client, Buffered(BufReader::with_capacity(READ, stream))))
    }
}

pub(super) type TlsStream = StreamOwned<ClientConnection, Buffered>;

/// rustls reads 4 KiB at a time; so it has them from here, and the kernel is asked less often.
#[derive(Debug)]
pub(super) struct Buffered(BufReader<TcpStream>);

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bad(error: &dyn ToString) -> Error {
    Error::Unexpected(format!("TLS: {}", error.to_string()))
}
