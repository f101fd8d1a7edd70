//! A key holder's request to any server, sent on over a connection that the wearer has made.

use std::future::Future;
use std::io;

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Body, body, neighbours};

/// Sends a request with a whole URL on, over a connection to its server that is for nothing else.
///
/// Gives the answer to come and the work of carrying it, which is to be awaited in a task of its own:
/// it is over when the answer is, and the answer when that is dropped. What is between neighbours
/// ([RFC 9110, 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)) stays here, both ways,
/// passwords for proxies too. At most some 64 KiB of either body are held.
///
/// # Errors
/// When the request has no host, or the connection is lost; the future's too, and when the server
/// says something that is no HTTP/1 or another protocol's beginning.
pub async fn forward<S>(
    stream: S,
    request: Request<Body>,
) -> io::Result<(
    impl Future<Output = io::Result<Response<Body>>> + Send + use<S>,
    impl Future<Output = ()> + Send + use<S>,
)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = translate(request)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(64 << 10).preserve_header_case(true);
    let (mut sender, connection) =
        builder.handshake::<_, Body>(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(io::Error::other("it changes to a protocol that nobody asked for"));
        }
        let (mut parts, body) = answer.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        neighbours::forget(&mut parts.headers);
        Ok(Response::from_parts(parts, body.map_err(io::Error::other).boxed_unsync()))
    };
    let carrying = async move {
        // An error is told to whoever reads the answer.
        let _ = connection.await;
    };
    Ok((answer, carrying))
}

/// The request in origin form, for the server alone; then the connection ends.
fn translate(request: Request<Body>) -> io::Result<Request<Body>> {
    let no_host = || io::Error::other("the URL has no host");
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().ok_or_else(no_host)?.as_str();
    let host = authority.rsplit_once('@').map_or(authority, |(_userinfo, host)| host);
    // The URL's host counts, whatever the header says (RFC 9112, section 3.2.2).
    let host = HeaderValue::try_from(host).map_err(io::Error::other)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(io::Error::other)?;
    neighbours::leave(&mut parts);
    parts.headers.insert(HOST, host);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let body = if body.is_end_stream() { body::empty() } else { body };
    Ok(Request::from_parts(parts, body))
}
