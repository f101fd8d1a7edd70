//! Requests of our own: to a certificate authority, and to the website behind this one.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::Body;

/// Connections to a website that wait for the next request, at most.
const WAITING: usize = 16;
/// How long one address may take to accept.
const ACCEPT: Duration = Duration::from_secs(5);

/// Whom we trust: Mozilla's list of authorities, and those in a PEM file, if one is given.
pub(crate) fn roots(more: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = more {
        let pem = crate::kept::read(path)?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
    }
    Ok(roots)
}

/// How we ask servers of others.
pub(crate) fn trust(more: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let roots = roots(more)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// One website, and the connections to it that are not in use.
pub(crate) struct Origin {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
    waiting: Mutex<Vec<SendRequest<Body>>>,
}

impl Origin {
    /// The origin of a URL; `None` if it is not `http` or `https` with a host.
    pub(crate) fn of(url: &Uri, trust: &Arc<ClientConfig>, patience: Duration) -> Option<Self> {
        let tls = match url.scheme_str() {
            Some("https") => Some(Arc::clone(trust)),
            Some("http") => None,
            _ => return None,
        };
        let port = url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        let host = url.host()?.trim_matches(['[', ']']).to_owned();
        Some(Self::new(host, port, tls, patience))
    }

    pub(crate) fn new(
        host: String,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
        patience: Duration,
    ) -> Self {
        Self { host, port, tls, patience, waiting: Mutex::default() }
    }

    /// Sends a request in HTTP/1.1 form and waits for the head of its answer, on a connection that
    /// waits if there is one. One that the website has closed meanwhile costs nothing but a new one.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Body>,
    ) -> io::Result<Response<Incoming>> {
        while let Some(mut connection) = self.idle() {
            let again = again(&request);
            match timeout(self.patience, connection.try_send_request(request)).await {
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(Ok(response)) => {
                    self.wait(connection);
                    return Ok(response);
                }
                Ok(Err(mut error)) => match error.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(io::Error::other(error.into_error())),
                },
            }
        }
        let (connection, response) = self.send_anew(request).await?;
        self.wait(connection);
        Ok(response)
    }

    /// The same on a connection of its own.
    pub(crate) async fn send_anew(
        &self,
        request: Request<Body>,
    ) -> io::Result<(SendRequest<Body>, Response<Incoming>)> {
        let mut connection = timeout(self.patience, self.connect()).await??;
        let response = timeout(self.patience, connection.send_request(request)).await?;
        Ok((connection, response.map_err(io::Error::other)?))
    }

    fn idle(&self) -> Option<SendRequest<Body>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = waiting.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, once its answer has been read.
    fn wait(self: &Arc<Self>, mut connection: SendRequest<Body>) {
        let origin = Arc::downgrade(self);
        tokio::spawn(async move {
            if connection.ready().await.is_ok()
                && let Some(origin) = origin.upgrade()
            {
                let mut waiting = origin.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.retain(|connection| !connection.is_closed());
                if waiting.len() < WAITING {
                    waiting.push(connection);
                }
            }
        });
    }

    async fn connect(&self) -> io::Result<SendRequest<Body>> {
        let stream = self.dial().await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return speak(stream).await };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        speak(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?).await
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name leads nowhere");
        for address in tokio::net::lookup_host((self.host.as_str(), self.port)).await? {
            match timeout(ACCEPT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

/// A request that may be sent twice, again: the website may have closed a connection while it was on
/// its way.
fn again(request: &Request<Body>) -> Option<Request<Body>> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(crate::body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

async fn speak<S>(stream: S) -> io::Result<SendRequest<Body>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(64 << 10).preserve_header_case(true);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // An error is told to whoever sent the request.
        let _ = connection.await;
    });
    Ok(sender)
}
