//! The program itself, for machines that are to become relays: whoever was invited downloads it from the
//! hub, and checks that it is what was promised.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use front::{Body, body};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many download it at a time.
const AT_A_TIME: usize = 8;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much is read of it at a time.
const PIECE: usize = 64 << 10;

/// A file that is given away.
pub struct Program {
    file: Arc<File>,
    length: u64,
    turns: Arc<Semaphore>,
}

impl Program {
    /// What was opened. It is given as it is now, also when its name is given to another file.
    ///
    /// # Errors
    /// When its length cannot be told.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        Ok(Self { file: Arc::new(file), length, turns })
    }

    pub(super) fn answer(&self) -> Response<Body> {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            let mut busy = Response::new(body::empty());
            *busy.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            busy.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("20"));
            return busy;
        };
        let (sender, pieces) = mpsc::channel(2);
        let (file, length) = (Arc::clone(&self.file), self.length);
        tokio::spawn(async move {
            let _turn = turn;
            // Whoever stops reading ends it by that, or by the time it takes.
            let _ = timeout(PATIENCE, send(file, length, sender)).await;
        });
        let mut answer = Response::new(Pieces { pieces, left: length }.boxed_unsync());
        let kind = HeaderValue::from_static("application/octet-stream");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }
}

async fn send(file: Arc<File>, length: u64, to: mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut at = 0;
    while at < length {
        let file = Arc::clone(&file);
        let read = spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let read = file.read_at(&mut piece, at)?;
            piece.truncate(read);
            io::Result::Ok(piece)
        });
        let piece = read.await.map_err(io::Error::other)??;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at += piece.len() as u64;
        to.send(piece.into()).await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// Pieces as they come, so many bytes in all.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(self.pieces.poll_recv(cx)) {
            Some(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Ok(Frame::data(piece))
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
