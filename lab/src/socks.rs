//! A SOCKS5 client that asks for what no app would ask for.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use wire::socks5::{Login, client};

use crate::error::{Error, Result};

/// Where to.
#[derive(Clone, Debug)]
pub enum To {
    /// An address, as such.
    Address(SocketAddr),
    /// A name, or an address written like one.
    Name(String, u16),
}

impl To {
    fn bytes(&self) -> Vec<u8> {
        let (mut bytes, port) = match self {
            Self::Address(SocketAddr::V4(at)) => {
                ([&[1][..], &at.ip().octets()].concat(), at.port())
            }
            Self::Address(SocketAddr::V6(at)) => {
                ([&[4][..], &at.ip().octets()].concat(), at.port())
            }
            Self::Name(name, port) => {
                let length = u8::try_from(name.len()).expect("a short name");
                ([&[3, length][..], name.as_bytes()].concat(), *port)
            }
        };
        bytes.extend(port.to_be_bytes());
        bytes
    }
}

/// Connects by way of a proxy, which is given as `socks5://user:password@server:port`; if that was
/// refused, the code of RFC 1928 that says why.
///
/// # Errors
/// When the proxy cannot be reached, does not take the password or speaks something else.
pub async fn connect(proxy: &str, to: &To) -> Result<Result<TcpStream, u8>> {
    let (stream, code, _) = ask(proxy, 1, to).await?;
    Ok(if code == 0 { Ok(stream) } else { Err(code) })
}

/// A way for datagrams by way of a proxy; it is open as long as this is.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    _control: TcpStream,
}

impl Datagrams {
    /// Asks for it.
    ///
    /// # Errors
    /// As [`connect`], and when the proxy refuses.
    pub async fn open(proxy: &str) -> Result<Self> {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let (control, code, at) = ask(proxy, 3, &To::Address(any)).await?;
        if code != 0 {
            return Err(Error::Unexpected(format!("no way for datagrams: {code}")));
        }
        let socket = UdpSocket::bind(SocketAddr::new(control.local_addr()?.ip(), 0)).await?;
        socket.connect(at).await?;
        Ok(Self { socket, _control: control })
    }

    /// Where the proxy takes them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn inner(&self) -> Result<SocketAddr> {
        Ok(self.socket.peer_addr()?)
    }

    /// Sends one.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn send(&self, to: &To, payload: &[u8]) -> Result {
        self.socket.send(&[&[0, 0, 0][..], &to.bytes(), payload].concat()).await?;
        Ok(())
    }

    /// Waits for one: where it came from, as bytes, and what is in it.
    ///
    /// # Errors
    /// When the proxy sends something else.
    pub async fn receive(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut buffer = vec![0; 2048];
        let length = self.socket.recv(&mut buffer).await?;
        let head = match buffer[3] {
            1 => 10,
            _ => 22,
        };
        Ok((buffer[3..head].to_vec(), buffer[head..length].to_vec()))
    }
}

impl From<SocketAddr> for To {
    fn from(at: SocketAddr) -> Self {
        Self::Address(at)
    }
}

/// Logs in and asks: the connection, the code of the answer, and the address in it.
async fn ask(proxy: &str, command: u8, to: &To) -> Result<(TcpStream, u8, SocketAddr)> {
    let bad = || Error::Unexpected(format!("no proxy: {proxy}"));
    let rest = proxy.strip_prefix("socks5://").ok_or_else(bad)?;
    let (login, server) = rest.split_once('@').ok_or_else(bad)?;
    let (user, password) = login.split_once(':').ok_or_else(bad)?;
    let server: SocketAddr = server.parse().map_err(|_| bad())?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&client::GREETING).await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    let login = Login { user: user.into(), password: password.into() };
    stream.write_all(&client::login(&login)).await?;
    let mut verdict = [0; 2];
    stream.read_exact(&mut verdict).await?;
    if (answer, verdict) != ([5, 2], [1, 0]) {
        return Err(Error::Unexpected(format!("not let in: {answer:?}, {verdict:?}")));
    }
    stream.write_all(&[vec![5, command, 0], to.bytes()].concat()).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let at = if head[3] == 1 {
        let mut four = [0; 4];
        stream.read_exact(&mut four).await?;
        (four, 0).into()
    } else {
        let mut six = [0; 16];
        stream.read_exact(&mut six).await?;
        (six, 0).into()
    };
    let port = stream.read_u16().await?;
    Ok((stream, head[1], SocketAddr::new(SocketAddr::ip(&at), port)))
}
