//! The website that everybody without a key meets.
//!
//! What it looks like is decided by one thought: contradictions are what scanners look for. Our TLS
//! hello, the settings of our HTTP/2, the order and case of our header fields and what is said about
//! a malformed request are those of rustls and hyper, and no `Server: nginx` above them would make
//! them nginx's; it would make a server that is the only one of its kind. So we are what we are: a
//! small web server in Rust as it comes, of which there are many and most of which carry nobody
//! anywhere. It names no product, and its errors have no page.

mod compress;
mod conditions;
mod directory;
mod kinds;
mod paths;
mod upstream;

use std::path::PathBuf;

use http::header::{HOST, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;

use crate::http_server::status;
use crate::notices::Notices;
use crate::{Body, Error, Limits};

/// What the website is.
#[derive(Clone, Debug, Default)]
pub enum Site {
    /// What a bare server shows: nothing is found here.
    #[default]
    Bare,
    /// The files below a directory. `index.html` stands for its directory, `404.html` at the top for
    /// everything that is not found, `x.gz` for `x` where the visitor takes it; names that begin with
    /// a dot are not there, `.well-known` excepted.
    Directory(PathBuf),
    /// Another website, `http` or `https`, of which this one seems to be the front.
    Upstream {
        /// Its address; a path in it goes before every path.
        url: Uri,
        /// PEM file of authorities that are trusted beside the public ones.
        roots: Option<PathBuf>,
    },
}

/// A website at work.
pub(crate) enum Open {
    Bare,
    Directory(directory::Directory),
    Upstream(Box<upstream::Upstream>),
}

impl Open {
    pub(crate) fn new(site: Site, limits: &Limits, notices: Notices) -> Result<Self, Error> {
        Ok(match site {
            Site::Bare => Self::Bare,
            Site::Directory(path) => Self::Directory(
                directory::Directory::open(&path)
                    .map_err(|error| Error::NoSite(path.display().to_string(), error))?,
            ),
            Site::Upstream { url, roots } => {
                let trust = crate::outgoing::trust(roots.as_deref())?;
                let open = upstream::Upstream::new(&url, &trust, limits, notices);
                Self::Upstream(Box::new(open.ok_or_else(|| Error::NoUpstream(url.to_string()))?))
            }
        })
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self {
            Self::Bare => {
                swallow(request.into_body()).await;
                status(StatusCode::NOT_FOUND)
            }
            Self::Directory(directory) => {
                let (request, body) = request.into_parts();
                swallow(body).await;
                directory.answer(request).await
            }
            Self::Upstream(upstream) => upstream.answer(request).await,
        }
    }
}

/// The most bytes of a request that are read although nobody wants them.
const SWALLOWED: usize = 64 << 10;

/// Reads what nobody wants: an answer before it looks to some visitors like a broken connection.
async fn swallow(mut body: Body) {
    let mut read = 0;
    while read < SWALLOWED
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}

/// Sends a visitor who came without TLS to the same place with it.
pub(crate) fn redirect(request: &Request<Body>) -> Response<Body> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let to = host
        .filter(|_| path.starts_with('/'))
        .and_then(|host| HeaderValue::try_from(format!("https://{}{path}", host.host())).ok());
    let Some(to) = to else { return status(StatusCode::BAD_REQUEST) };
    let mut answer = status(StatusCode::MOVED_PERMANENTLY);
    answer.headers_mut().insert(LOCATION, to);
    answer
}
