//! TLS as an ordinary server speaks it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Table;

/// The protocol in which a certificate authority comes for proof (RFC 8737).
const PROOF: &[u8] = b"acme-tls/1";

/// What a visitor speaks after the handshake.
pub(crate) enum Spoken<S> {
    /// HTTP/1.1, or nothing was agreed on.
    Http1(TlsStream<S>),
    /// HTTP/2.
    Http2(TlsStream<S>),
}

/// Answers TLS hellos.
#[derive(Debug)]
pub(crate) struct Tls {
    table: Arc<Table>,
    site: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new(table: Arc<Table>) -> Result<Self, rustls::Error> {
        let mut site = config(Arc::clone(&table) as _)?;
        site.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        site.ticketer = Ticketer::new()?;
        Ok(Self { table, site: Arc::new(site) })
    }

    /// Shakes hands. A visitor for whom that fails hears what rustls has to say about it; so does a
    /// certificate authority, whose visit ends with the handshake: `None`.
    pub(crate) async fn accept<S>(&self, stream: S, within: Duration) -> Option<Spoken<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        timeout(within, self.shake(stream)).await.ok()?.ok()?
    }

    async fn shake<S>(&self, stream: S) -> io::Result<Option<Spoken<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Some(proof) = self.proof(&start.client_hello()) {
            let mut config = config(Arc::new(Always(proof))).map_err(io::Error::other)?;
            config.alpn_protocols = vec![PROOF.to_vec()];
            // Said once; there is nothing to resume.
            config.send_tls13_tickets = 0;
            start.into_stream(Arc::new(config)).await?.shutdown().await?;
            return Ok(None);
        }
        let stream = start.into_stream(Arc::clone(&self.site)).await?;
        let is_h2 = protocol(stream.get_ref().1) == Some(b"h2");
        Ok(Some(if is_h2 { Spoken::Http2(stream) } else { Spoken::Http1(stream) }))
    }

    /// The proof that this hello asks for, if it is held ready. Without one, such a hello is answered
    /// as by any server that knows nothing of proofs.
    fn proof(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks = hello.alpn()?.eq([PROOF]);
        if asks { self.table.proof(hello.server_name()?) } else { None }
    }
}

fn protocol(connection: &ServerConnection) -> Option<&[u8]> {
    connection.alpn_protocol()
}

fn config(certificates: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, rustls::Error> {
    Ok(ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates))
}

/// Whoever comes is shown this one.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
