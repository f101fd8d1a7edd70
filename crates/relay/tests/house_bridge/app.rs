//! An app at the WEB proxy: whoever connects to its port is a stream of its session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::client::TlsStream;
use wire::webproxy::frame::{Kind, Piece, Reader, StreamId, put};
use wire::webproxy::session::{HELLO, WELCOME, WINDOW};

use crate::http::{Http, head, read};
use crate::world::Door;

/// What carries its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Socket,
    Requests1,
    Requests2,
}

/// An app whose session is open.
pub struct App {
    /// Where its streams begin, on 127.0.0.1.
    pub port: u16,
    /// The session's token.
    pub token: String,
    /// Whether it reads what the relay says.
    pub reads: watch::Sender<bool>,
    /// Becomes true when the session has ended.
    pub over: watch::Receiver<bool>,
    secret: String,
}

/// A frame for the relay.
type Said = (Kind, StreamId, Vec<u8>);

/// The streams as they are seen from the carrier.
struct Streams {
    reader: Reader,
    table: HashMap<StreamId, (UnboundedSender<Vec<u8>>, Arc<Semaphore>)>,
    opened: UnboundedReceiver<(StreamId, UnboundedSender<Vec<u8>>, Arc<Semaphore>)>,
    says: UnboundedSender<Said>,
}

impl App {
    /// Fetches the page and opens a session; `grants`: whether it gives credit for what it has read.
    pub async fn open(door: &Door, way: Way, grants: bool) -> Self {
        let mut http = match way {
            Way::Requests2 => Http::two(door).await,
            _ => Http::one(door).await,
        };
        let page = format!("/?bridge={}", door.capability);
        let page = http.ask("GET", &page, &[], b"").await.expect("an answer");
        assert_eq!(page.status, 200);
        let text = String::from_utf8(page.body).expect("text");
        let ticket = text.split_once("const bootstrap = \"").expect("a ticket").1;
        let ticket = ticket.split_once('"').expect("a ticket").0;
        let bearer = format!("Bearer {ticket}");
        let headers = [("Authorization", bearer.as_str())];
        let begun = http.ask("POST", "/api/v1/session", &headers, &HELLO).await;
        let begun = begun.expect("an answer");
        assert_eq!((begun.status, &begun.body[..]), (200, &WELCOME[..]));
        let token = begun.header("x-session-token").expect("a token").to_owned();

        let (says, said) = unbounded_channel();
        let (opens, opened) = unbounded_channel();
        let streams = Streams {
            reader: Reader::default(),
            table: HashMap::new(),
            opened,
            says: says.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        tokio::spawn(accept(listener, says, opens, grants));
        let (reads, may_read) = watch::channel(true);
        let (ends, over) = watch::channel(false);
        let (door, session) = (door.clone(), token.clone());
        let secret = hex(&door);
        tokio::spawn(async move {
            match way {
                Way::Socket => by_socket(&door, &session, streams, said, may_read).await,
                _ => by_requests(&door, way, &session, streams, said, may_read).await,
            }
            ends.send_replace(true);
        });
        Self { port, token, reads, over, secret }
    }

    /// A link to it, for the lab's client.
    pub fn link(&self) -> String {
        format!("tg://proxy?server=127.0.0.1&port={}&secret=dd{}", self.port, self.secret)
    }

    /// Waits until its session has ended.
    pub async fn ended(&mut self, within: Duration) -> bool {
        tokio::time::timeout(within, self.over.wait_for(|over| *over)).await.is_ok()
    }
}

fn hex(door: &Door) -> String {
    door.secret.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn accept(
    listener: TcpListener,
    says: UnboundedSender<Said>,
    opens: UnboundedSender<(StreamId, UnboundedSender<Vec<u8>>, Arc<Semaphore>)>,
    grants: bool,
) {
    for number in 1.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        let id = StreamId::new(number).expect("an id");
        let (hears, heard) = unbounded_channel();
        let credit = Arc::new(Semaphore::new(WINDOW as usize));
        if opens.send((id, hears, Arc::clone(&credit))).is_err() {
            return;
        }
        let _ = says.send((Kind::Open, id, Vec::new()));
        let (reader, writer) = stream.into_split();
        tokio::spawn(up(reader, id, says.clone(), credit));
        tokio::spawn(down(writer, id, says.clone(), heard, grants));
    }
}

async fn up(
    mut reader: tokio::net::tcp::OwnedReadHalf,
    id: StreamId,
    says: UnboundedSender<Said>,
    credit: Arc<Semaphore>,
) {
    let mut bytes = vec![0; 32 << 10];
    while let Ok(read @ 1..) = reader.read(&mut bytes).await {
        let Ok(granted) = credit.acquire_many(u32::try_from(read).expect("short")).await else {
            return;
        };
        granted.forget();
        let _ = says.send((Kind::Data, id, bytes[..read].to_vec()));
    }
    let _ = says.send((Kind::Close, id, Vec::new()));
}

async fn down(
    mut writer: tokio::net::tcp::OwnedWriteHalf,
    id: StreamId,
    says: UnboundedSender<Said>,
    mut heard: UnboundedReceiver<Vec<u8>>,
    grants: bool,
) {
    let mut unread = 0;
    while let Some(bytes) = heard.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
        unread += u32::try_from(bytes.len()).expect("short");
        if grants && unread >= 256 << 10 {
            let _ = says.send((Kind::Window, id, unread.to_be_bytes().to_vec()));
            unread = 0;
        }
    }
}

impl Streams {
    fn hear(&mut self, mut bytes: &[u8]) {
        while let Ok((id, hears, credit)) = self.opened.try_recv() {
            self.table.insert(id, (hears, credit));
        }
        while let Some(piece) = self.reader.next(&mut bytes).expect("good frames") {
            match piece {
                Piece::Data(id, bytes) => {
                    if let Some((hears, _)) = self.table.get(&id) {
                        let _ = hears.send(bytes.to_vec());
                    }
                }
                Piece::Control(Kind::Window, id, more) => {
                    let more = u32::from_be_bytes((*more).try_into().expect("a number"));
                    if let Some((_, credit)) = self.table.get(&id) {
                        credit.add_permits(more as usize);
                    }
                }
                Piece::Control(Kind::Ping, id, payload) => {
                    let _ = self.says.send((Kind::Pong, id, payload.to_vec()));
                }
                Piece::Control(Kind::Close, id, _) => {
                    if let Some((_, credit)) = self.table.remove(&id) {
                        credit.close();
                    }
                }
                Piece::Control(kind, ..) => panic!("a frame out of place: {kind:?}"),
            }
        }
    }
}

/// What waits to be said, joined.
async fn next(said: &mut UnboundedReceiver<Said>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (kind, id, payload) = said.recv().await?;
    put(&mut out, kind, id, &payload);
    while out.len() < 256 << 10
        && let Ok((kind, id, payload)) = said.try_recv()
    {
        put(&mut out, kind, id, &payload);
    }
    Some(out)
}

/// The headers that ask for a WebSocket.
pub fn upgrade(protocol: &str) -> [(&str, &str); 5] {
    [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", protocol),
    ]
}

async fn by_socket(
    door: &Door,
    token: &str,
    mut streams: Streams,
    said: UnboundedReceiver<Said>,
    mut may_read: watch::Receiver<bool>,
) {
    let mut tls = door.tls("http/1.1").await;
    let protocol = format!("tproxy-v1.{token}");
    tls.write_all(&head("GET", "/api/v1/ws", &upgrade(&protocol), 0)).await.expect("written");
    let answer = read(&mut tls).await.expect("an answer");
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("sec-websocket-protocol"), Some(protocol.as_str()));
    let (mut reader, writer) = split(tls);
    let writing = write_messages(writer, said);
    let reading = async {
        loop {
            let _ = may_read.wait_for(|may| *may).await;
            let Some(message) = read_message(&mut reader).await else { return };
            streams.hear(&message);
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

async fn write_messages(
    mut writer: WriteHalf<TlsStream<TcpStream>>,
    mut said: UnboundedReceiver<Said>,
) {
    while let Some(mut payload) = next(&mut said).await {
        let mask = [1, 2, 3, 4];
        let mut message = vec![0x82, 0xff];
        message.extend((payload.len() as u64).to_be_bytes());
        message.extend(mask);
        payload.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= mask[at % 4]);
        message.extend(payload);
        if writer.write_all(&message).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

async fn read_message(reader: &mut ReadHalf<TlsStream<TcpStream>>) -> Option<Vec<u8>> {
    assert_eq!(reader.read_u8().await.ok()?, 0x82, "a whole message of bytes");
    let length = match reader.read_u8().await.ok()? {
        126 => u64::from(reader.read_u16().await.ok()?),
        127 => reader.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mut message = vec![0; usize::try_from(length).expect("short")];
    reader.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn by_requests(
    door: &Door,
    way: Way,
    token: &str,
    mut streams: Streams,
    mut said: UnboundedReceiver<Said>,
    mut may_read: watch::Receiver<bool>,
) {
    let http = async || match way {
        Way::Requests2 => Http::two(door).await,
        _ => Http::one(door).await,
    };
    let (mut upward, mut downward) = (http().await, http().await);
    let bearer = format!("Bearer {token}");
    let up = async {
        for sequence in 1.. {
            let Some(frames) = next(&mut said).await else { return };
            let sequence = format!("{sequence}");
            let headers = [("Authorization", bearer.as_str()), ("X-Up-Seq", &sequence)];
            loop {
                let Some(answer) = upward.ask("POST", "/api/v1/up", &headers, &frames).await else {
                    return;
                };
                match answer.status {
                    204 => break,
                    503 => tokio::time::sleep(Duration::from_millis(100)).await,
                    _ => return,
                }
            }
        }
    };
    let down = async {
        let mut cursor = "0".to_owned();
        loop {
            let _ = may_read.wait_for(|may| *may).await;
            let headers = [("Authorization", bearer.as_str()), ("X-Down-Cursor", &cursor)];
            let Some(answer) = downward.ask("POST", "/api/v1/down", &headers, b"").await else {
                return;
            };
            match answer.status {
                200 => {
                    streams.hear(&answer.body);
                    answer.header("x-down-cursor").expect("a number").clone_into(&mut cursor);
                }
                204 => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
