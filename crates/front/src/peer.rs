//! Another server of ours, asked by HTTPS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::time::timeout;
use wire::fleet::HubAddress;

use crate::body;
use crate::outgoing::{Origin, trust};

/// By what a server is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// A public authority has certified its name.
    Public,
    /// The SHA-256 of its certificate, which nobody else has the key of. Neither names nor dates in it
    /// count.
    Pinned([u8; 32]),
}

/// One server, and the connection to it that waits for the next request.
pub struct Peer {
    origin: Arc<Origin>,
    host: HeaderValue,
}

impl Peer {
    /// The server there.
    ///
    /// # Errors
    /// When there is no host that is called that.
    pub fn new(at: &HubAddress, by: Trust) -> io::Result<Self> {
        let config = match by {
            Trust::Public => trust(None)?,
            Trust::Pinned(hash) => pinned(hash)?,
        };
        let host = HeaderValue::try_from(at.to_string()).map_err(io::Error::other)?;
        // Who asks says how long an answer may take.
        let origin = Origin::new(at.host.clone(), at.port, Some(config), Duration::MAX);
        Ok(Self { origin: Arc::new(origin), host })
    }

    /// Sends bytes and waits for what is answered, at most `most` bytes and so long. Dropped, it is
    /// given up.
    ///
    /// # Errors
    /// When the server is not reached, is another one, or answers too late or too much.
    pub async fn post(
        &self,
        path: &str,
        bytes: Vec<u8>,
        patience: Duration,
        most: usize,
    ) -> io::Result<(StatusCode, Bytes)> {
        let mut request = Request::new(body::full(bytes));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().map_err(io::Error::other)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let exchange = async {
            let answer = self.origin.send(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), most).collect().await;
            Ok((status, body.map_err(io::Error::other)?.to_bytes()))
        };
        timeout(patience, exchange).await?
    }
}

fn pinned(hash: [u8; 32]) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned { hash, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Accepts one certificate.
#[derive(Debug)]
struct Pinned {
    hash: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_it = digest::digest(&digest::SHA256, certificate).as_ref() == self.hash;
        let other = CertificateError::ApplicationVerificationFailure;
        if is_it { Ok(ServerCertVerified::assertion()) } else { Err(other.into()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
