//! A website of files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, LAST_MODIFIED, LOCATION, RANGE, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::SemaphorePermit;

use super::conditions::{self, Part, Version};
use super::{compress, kinds, paths};
use crate::Body;
use crate::body;
use crate::http_server::status;

/// How much of a file is in memory at a time.
const PIECE: usize = 16 << 10;

/// A website of files.
pub(crate) struct Directory {
    /// Without links in it.
    root: PathBuf,
}

/// What there is to send.
struct Found {
    file: File,
    version: Version,
    length: u64,
    kind: &'static str,
    gzip: Gzip,
    status: StatusCode,
}

enum Gzip {
    No,
    /// The file is in gzip.
    Is,
    /// It is compressed now.
    Now(SemaphorePermit<'static>),
}

enum Looked {
    Found(Found),
    /// A directory, whose path ends with a slash.
    Elsewhere(String),
    Nothing,
}

impl Directory {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        std::fs::read_dir(&root)?;
        Ok(Self { root })
    }

    pub(crate) async fn answer(&self, request: Parts) -> Response<Body> {
        let Parts { method, uri, headers, .. } = request;
        if !matches!(method, Method::GET | Method::HEAD) {
            let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let root = self.root.clone();
        let is_head = method == Method::HEAD;
        // Files are read by threads that may wait for a disk.
        let made = tokio::task::spawn_blocking(move || {
            let gzip = conditions::takes_gzip(&headers) && !headers.contains_key(RANGE);
            match look(&root, uri.path(), gzip) {
                Looked::Found(found) => send(found, &headers, is_head),
                Looked::Nothing => Ok(status(StatusCode::NOT_FOUND)),
                Looked::Elsewhere(path) => {
                    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                    let mut answer = status(StatusCode::MOVED_PERMANENTLY);
                    let to = HeaderValue::try_from(path + &query).map_err(io::Error::other)?;
                    answer.headers_mut().insert(LOCATION, to);
                    Ok(answer)
                }
            }
        });
        match made.await {
            Ok(Ok(answer)) => answer,
            _ => status(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

fn look(root: &Path, path: &str, gzip: bool) -> Looked {
    let found = paths::parts(path).and_then(|parts| Some((paths::find(root, &parts)?, parts)));
    let found = match found {
        Some((at, parts)) if at.is_dir() => {
            if !path.ends_with('/') {
                return Looked::Elsewhere(paths::url(&parts) + "/");
            }
            let mut parts = parts;
            parts.push(b"index.html".to_vec());
            paths::find(root, &parts).and_then(|at| open(root, &at, gzip))
        }
        Some((at, _)) if !path.ends_with('/') => open(root, &at, gzip),
        _ => None,
    };
    let not_found = || {
        let page = paths::find(root, &[b"404.html".to_vec()])?;
        Some(Found { status: StatusCode::NOT_FOUND, ..open(root, &page, gzip)? })
    };
    found.or_else(not_found).map_or(Looked::Nothing, Looked::Found)
}

/// A file, or the `.gz` beside it.
fn open(root: &Path, at: &Path, gzip: bool) -> Option<Found> {
    let (kind, shrinks) = kinds::of(&at.file_name()?.to_string_lossy());
    let (file, modified, length) = regular(at)?;
    let status = StatusCode::OK;
    if gzip {
        let mut name: OsString = at.as_os_str().to_owned();
        name.push(".gz");
        let beside = PathBuf::from(name).canonicalize().ok().filter(|path| path.starts_with(root));
        if let Some((file, modified, length)) = beside.and_then(|path| regular(&path)) {
            let version = Version::new(modified, length, "-gz");
            return Some(Found { file, version, length, kind, gzip: Gzip::Is, status });
        }
        if shrinks
            && compress::is_worth(length)
            && let Some(turn) = compress::turn()
        {
            let version = Version::new(modified, length, "-gzip");
            return Some(Found { file, version, length, kind, gzip: Gzip::Now(turn), status });
        }
    }
    let version = Version::new(modified, length, "");
    Some(Found { file, version, length, kind, gzip: Gzip::No, status })
}

/// A file that is really one: opening a pipe would wait for somebody to write.
fn regular(at: &Path) -> Option<(File, std::time::SystemTime, u64)> {
    if !at.metadata().ok()?.is_file() {
        return None;
    }
    let file = File::open(at).ok()?;
    let metadata = file.metadata().ok()?;
    Some((file, metadata.modified().ok()?, metadata.len()))
}

fn send(mut found: Found, headers: &HeaderMap, is_head: bool) -> io::Result<Response<Body>> {
    let is_there = found.status == StatusCode::OK;
    let mut answer = status(found.status);
    if is_there {
        set(&mut answer, ETAG, &found.version.tag)?;
        set(&mut answer, LAST_MODIFIED, &httpdate::fmt_http_date(found.version.modified))?;
        set(&mut answer, VARY, "accept-encoding")?;
    }
    if is_there && found.version.is_known(headers) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(answer);
    }
    set(&mut answer, CONTENT_TYPE, found.kind)?;
    if !matches!(found.gzip, Gzip::No) {
        set(&mut answer, CONTENT_ENCODING, "gzip")?;
    } else if is_there {
        set(&mut answer, ACCEPT_RANGES, "bytes")?;
    }
    if let Gzip::Now(_turn) = found.gzip {
        let mut bytes = Vec::new();
        found.file.take(found.length).read_to_end(&mut bytes)?;
        let bytes = compress::gzip(&bytes)?;
        set(&mut answer, CONTENT_LENGTH, &bytes.len().to_string())?;
        if !is_head {
            *answer.body_mut() = body::full(bytes);
        }
        return Ok(answer);
    }
    let part = match is_there {
        true => conditions::part(headers, &found.version, found.length),
        false => Part::All,
    };
    let range = match part {
        Part::All => 0..found.length,
        Part::Some(range) => {
            let last = range.end - 1;
            set(
                &mut answer,
                CONTENT_RANGE,
                &format!("bytes {}-{last}/{}", range.start, found.length),
            )?;
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            range
        }
        Part::None => {
            let mut answer = status(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{}", found.length))?;
            return Ok(answer);
        }
    };
    let length = range.end - range.start;
    set(&mut answer, CONTENT_LENGTH, &length.to_string())?;
    if !is_head {
        found.file.seek(SeekFrom::Start(range.start))?;
        let mut file = tokio::fs::File::from_std(found.file);
        file.set_max_buf_size(PIECE);
        *answer.body_mut() = Reading { file, left: length }.boxed_unsync();
    }
    Ok(answer)
}

fn set(answer: &mut Response<Body>, name: HeaderName, value: &str) -> io::Result<()> {
    let value = HeaderValue::try_from(value).map_err(io::Error::other)?;
    answer.headers_mut().insert(name, value);
    Ok(())
}

/// A part of a file, piece by piece.
struct Reading {
    file: tokio::fs::File,
    left: u64,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; most];
        let mut buf = ReadBuf::new(&mut piece);
        match Pin::new(&mut self.file).poll_read(cx, &mut buf) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => {}
        }
        let read = buf.filled().len();
        if read == 0 {
            // It has become shorter meanwhile, and its length is told already.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        piece.truncate(read);
        self.left -= read as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
