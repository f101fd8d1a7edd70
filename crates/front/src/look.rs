//! What somebody who comes is shown: the certificate, and what a browser would say of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificates::der;
use crate::{Name, outgoing};

/// How long one look takes at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate as it was shown.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it is for.
    pub names: Vec<Name>,
    /// From when on it is good.
    pub from: SystemTime,
    /// How long.
    pub until: SystemTime,
    /// Whether it is for the host that was asked for.
    pub fits: bool,
    /// Why browsers refuse it, in the words of the library that checked it.
    pub refused: Option<String>,
}

/// Asks for a host at an address, as a browser would; `roots` is a PEM file of authorities that are
/// trusted beside the public ones.
///
/// # Errors
/// When nobody answers in ten seconds, or not in TLS.
pub async fn look(at: SocketAddr, host: &str, roots: Option<&Path>) -> io::Result<Seen> {
    let provider = Arc::new(default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(
        Arc::new(outgoing::roots(roots)?),
        Arc::clone(&provider),
    );
    let usual = usual.build().map_err(io::Error::other)?;
    let witness = Arc::new(Witness { usual, seen: OnceLock::new() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Witness>::clone(&witness))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let shake = async {
        let stream = TcpStream::connect(at).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    timeout(PATIENCE, shake).await??;
    let (der, refused) = witness.seen.get().ok_or(io::ErrorKind::InvalidData)?;
    let facts = der::read(der).ok_or(io::ErrorKind::InvalidData)?;
    let fits = facts.names.iter().any(|name| match (name, host.parse::<IpAddr>()) {
        (Name::Address(ip), Ok(host)) => *ip == host,
        _ => name.covers(host),
    });
    let der::Facts { from, until, names } = facts;
    Ok(Seen { names, from, until, fits, refused: refused.as_ref().map(ToString::to_string) })
}

/// Remembers what it was shown and what is to be said of it, and lets everybody through.
#[derive(Debug)]
struct Witness {
    usual: Arc<WebPkiServerVerifier>,
    seen: OnceLock<(Vec<u8>, Option<Error>)>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.usual.verify_server_cert(certificate, between, name, ocsp, now);
        let _ = self.seen.set((certificate.to_vec(), judged.err()));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
