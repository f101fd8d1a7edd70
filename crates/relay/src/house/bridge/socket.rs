//! Frames over a WebSocket, on HTTP/1.1. (Over HTTP/2, browsers open none unless they are asked to.)

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::ready;

use front::{Body, Tunnel, body};
use http::{Request, Response, StatusCode, Version, header};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use wire::webproxy::carrier::MAX_UP;
use wire::websocket::{self, Control, Decoder, Item, Opcode};

use super::session::Session;

/// How long a message is at most, with its headers: what TLS takes at a time, in whole records. On a
/// slow line a longer one would be under way for so long that the page believes the line dead.
const MESSAGE: usize = 64 << 10;
/// The longest header of a message of ours.
const HEADER: usize = 10;
/// Room for what a session says beside data.
const OTHERS: usize = 64;

thread_local! {
    /// Who waits for bytes owns no buffer.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}

/// Turns a request into a WebSocket that carries the session, if it asks for one in the right way.
pub(super) fn open(
    session: &Arc<Session>,
    request: &mut Request<Body>,
    room: Arc<OwnedSemaphorePermit>,
) -> Option<Response<Body>> {
    let headers = request.headers();
    let text = |name| headers.get(name)?.to_str().ok();
    let is_asked_for = request.version() == Version::HTTP_11
        && text(header::UPGRADE)?.eq_ignore_ascii_case("websocket")
        && text(header::SEC_WEBSOCKET_VERSION)? == "13";
    let accept = websocket::accept(text(header::SEC_WEBSOCKET_KEY)?).filter(|_| is_asked_for)?;
    let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.clone();

    let mut answer = Response::new(body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.parse().ok()?);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);

    let carried = Arc::clone(session);
    session.attach(|| {
        let tunnel = Tunnel::begin(request);
        let task = tokio::spawn(async move {
            let attached = Attached(carried);
            if let Ok(tunnel) = tunnel.await {
                carry(&attached.0, tunnel).await;
            }
            drop(room);
        });
        task.abort_handle()
    })?;
    Some(answer)
}

/// Says that the WebSocket is gone when it is.
struct Attached(Arc<Session>);

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.detach();
    }
}

/// What one half owes the other: an answer to the last ping, or to the end.
#[derive(Default)]
struct Debt {
    owed: Mutex<Option<(Opcode, Control)>>,
    called: Notify,
}

async fn carry(session: &Arc<Session>, tunnel: Tunnel) {
    let (reader, writer) = split(tunnel);
    let debt = Debt::default();
    tokio::select! {
        _ = listen(session, reader, &debt) => {}
        _ = speak(session, writer, &debt) => {}
    }
}

/// Reads until the app has gone, or has broken a rule.
async fn listen(
    session: &Arc<Session>,
    mut reader: ReadHalf<Tunnel>,
    debt: &Debt,
) -> io::Result<()> {
    let mut decoder = Decoder::new(MAX_UP);
    loop {
        session.until_it_may_receive().await;
        let has_ended = poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut reader).poll_read(cx, &mut read))?;
                hear(session, &mut decoder, read.filled_mut(), debt).into()
            })
        });
        if has_ended.await? {
            // The answer to that is the last thing that is said.
            return std::future::pending().await;
        }
    }
}

/// Takes in what has come; whether that was the end.
fn hear(
    session: &Arc<Session>,
    decoder: &mut Decoder,
    mut bytes: &mut [u8],
    debt: &Debt,
) -> io::Result<bool> {
    if bytes.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let over = |_| io::Error::from(io::ErrorKind::ConnectionAborted);
    while let Some(item) = decoder.next(&mut bytes).map_err(io::Error::other)? {
        match item {
            Item::Bytes(bytes) => session.receive(Some(bytes)).map_err(over)?,
            Item::End => session.receive(None).map_err(over)?,
            Item::Ping(payload) => debt.owe(Opcode::Pong, payload),
            Item::Close(payload) => {
                debt.owe(Opcode::Close, payload);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Debt {
    fn owe(&self, opcode: Opcode, payload: Control) {
        *self.owed.lock().unwrap_or_else(PoisonError::into_inner) = Some((opcode, payload));
        self.called.notify_one();
    }

    fn take(&self) -> Option<(Opcode, Control)> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Says what there is to say, a message at a time.
async fn speak(
    session: &Arc<Session>,
    mut writer: WriteHalf<Tunnel>,
    debt: &Debt,
) -> io::Result<()> {
    let mut news = session.news();
    loop {
        news.mark_unchanged();
        let mut out = Vec::new();
        loop {
            if let Some((opcode, payload)) = debt.take() {
                let mut frame = Vec::new();
                websocket::put(&mut frame, opcode, &payload);
                writer.write_all(&frame).await?;
                if opcode == Opcode::Close {
                    return writer.shutdown().await;
                }
            }
            out.clear();
            // The header stands before the rest, and is as long as that is.
            out.resize(HEADER, 0);
            session
                .say(MESSAGE - HEADER - OTHERS, &mut out)
                .map_err(|_| io::ErrorKind::ConnectionAborted)?;
            let length = out.len() - HEADER;
            if length == 0 {
                break;
            }
            let mut header = Vec::with_capacity(HEADER);
            websocket::put_header(&mut header, Opcode::Binary, length);
            let start = HEADER - header.len();
            out[start..HEADER].copy_from_slice(&header);
            writer.write_all(&out[start..]).await?;
        }
        writer.flush().await?;
        // Who has nothing to say owns no buffer.
        drop(out);
        tokio::select! {
            _ = news.changed() => {}
            () = debt.called.notified() => {}
        }
    }
}
