//! Whoever has a bundle finds out which ports of a relay are reached, through the real program.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lab::relay::Form;
use lab::{Blockade, Error, Host, Relay, Result, Task, client, country};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use wire::bundle::{Endpoint, Sealed};
use wire::crack::Network;
use wire::echo::{Answer, Asker, Climb, Dress, Kind, Piece, Shape, Transport, Wanted, Way, dress};
use wire::receipt::{Receipt, Statement};

const LIMIT: Duration = Duration::from_secs(10);

fn now() -> u32 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    u32::try_from(since).expect("before 2106")
}

/// A bundle of this relay, which knows of it.
fn bundle(relay: &Relay, folder: &Path) -> Result<Sealed> {
    let file = folder.join("bundle");
    let _ = fs::remove_file(&file);
    let name = file.to_str().expect("UTF-8");
    relay.command(&["bundle", "make", "--label", "Aunt", "--output", name, "--json"])?;
    let text = fs::read_to_string(&file).expect("written");
    // Made while it runs: it looks four times a second.
    std::thread::sleep(Duration::from_secs(1));
    Ok(Sealed::read(&text).expect("a bundle"))
}

fn asker(endpoint: &Endpoint) -> Asker {
    Asker::new(&endpoint.echo_key, &endpoint.mask_key)
}

/// What the relay saw, if it answers there within a while.
async fn ask(
    asker: &Asker,
    transport: Transport,
    shape: Shape,
    relay: SocketAddr,
) -> io::Result<(Answer, (Dress, Climb), Socket)> {
    let wanted = Wanted { transport, shape, relay, time: now(), near: None };
    let question = asker.ask(&wanted, wire::random());
    let dress = asker.dress(transport, shape, "www.example.org");
    let dressed = dress.question(&question);
    let mut socket = Socket::open(transport, relay).await?;
    socket.send(&dressed).await?;
    let sealed = socket.read(|came| dress.read_answer(came)).await?;
    let answer = asker.read(&question, &sealed).ok_or(io::ErrorKind::InvalidData)?;
    Ok((answer, (dress, asker.climb(&question)), socket))
}

enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Socket {
    async fn open(transport: Transport, at: SocketAddr) -> io::Result<Self> {
        if transport == Transport::Tcp {
            return TcpStream::connect(at).await.map(Self::Tcp);
        }
        let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(at).await?;
        Ok(Self::Udp(socket))
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Udp(socket) => socket.send(bytes).await.map(|_| ()),
        }
    }

    async fn read<const N: usize>(
        &mut self,
        read: impl Fn(&[u8]) -> dress::Read<N>,
    ) -> io::Result<[u8; N]> {
        let mut came = Vec::new();
        loop {
            let mut buffer = [0; 2048];
            let length = match self {
                Self::Tcp(stream) => stream.read(&mut buffer).await?,
                Self::Udp(socket) => socket.recv(&mut buffer).await?,
            };
            came.extend_from_slice(&buffer[..length]);
            match read(&came).map_err(io::Error::other)? {
                Some((read, _)) => return Ok(read),
                None if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        }
    }
}

/// Whether a datagram is refused there, as where nobody listens.
fn is_unreachable(from: &Host, at: SocketAddr) -> Result<bool> {
    from.run(async move || {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect(at).await?;
        socket.send(&[7; 100]).await?;
        let answer = timeout(LIMIT / 50, socket.recv(&mut [0; 100])).await;
        Ok(matches!(answer, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused))
    })
}

#[test]
fn in_a_cut_every_port_answers_by_tcp_and_by_datagrams() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("all").start()?;
        let at = SocketAddr::new(world.server.v4(), 443);
        assert!(is_unreachable(&world.phone, at)?, "nobody has a bundle, so nobody can ask");
        let bundle = bundle(&relay, &world.server.folder()?)?;
        assert!(!is_unreachable(&world.phone, at)?);
        let asker = Arc::new(asker(&bundle.bundle().endpoints[0]));
        let never = [22, 67, 68, 123, 546, 547];
        let sample = (1..=u16::MAX).step_by(331).chain([53, 179, 443, 3785, 65_535]).chain(never);
        let sample: Vec<u16> = sample.collect();
        assert!(sample.len() > 200);
        for address in world.server.addresses().to_vec() {
            let (asker, sample) = (Arc::clone(&asker), sample.clone());
            let silent = world.phone.run(async move || {
                let mut silent = Vec::new();
                for (at, port) in sample.into_iter().enumerate() {
                    let relay = SocketAddr::new(address, port);
                    for transport in Transport::ALL {
                        let shape = Shape::ALL[at % 4];
                        let asked = ask(&asker, transport, shape, relay);
                        let limit = if never.contains(&port) { LIMIT / 20 } else { LIMIT };
                        match timeout(limit, asked).await {
                            Ok(Ok((answer, ..))) => assert_eq!(answer.relay, relay),
                            _ => silent.push((transport, port)),
                        }
                    }
                }
                Ok(silent)
            })?;
            let expected = never.map(|port| Transport::ALL.map(|transport| (transport, port)));
            assert_eq!(silent, expected.as_flattened(), "{address}");
        }
        Ok(())
    })
}

/// A receipt for a port of the relay.
fn receipt(from: &Host, bundle: &Sealed, at: SocketAddr) -> Result<Statement> {
    let asker = asker(&bundle.bundle().endpoints[0]);
    let bytes = from.run(async move || {
        let (transport, shape) = (Transport::Udp, Shape::Printable);
        let (_, (dress, climb), mut socket) =
            timeout(LIMIT, ask(&asker, transport, shape, at)).await??;
        let body = b"beeline-kz".to_vec();
        let piece = Piece { kind: Kind::Receipt, number: 0, received: 0, body };
        let sealed = climb.seal(&piece);
        socket.send(&dress.piece(Way::Up, &sealed, &[])).await?;
        let read = socket.read(|came| dress.read_piece(Way::Down, came));
        Ok(climb.open(&timeout(LIMIT, read).await??).map(|piece| piece.body))
    })?;
    let bytes = bytes.ok_or_else(|| Error::Unexpected("a piece that nobody sealed".to_owned()))?;
    let receipt = Receipt::open(&bytes, &[bundle.signer()], now().into());
    Ok(receipt.expect("the relay's own").statement().clone())
}

#[test]
fn a_receipt_names_the_network_from_a_table_and_a_table_that_is_broken_changes_nothing() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let folder = world.server.folder()?;
        let [table, settings] = ["networks.tsv", "jaryq.toml"].map(|name| folder.join(name));
        let phone = world.phone.v4();
        fs::write(&table, format!("{phone}\t{phone}\t9198\tKZ\tKAZTELECOM\n"))?;
        fs::write(&settings, "ports = 443\n")?;
        let relay = Relay::on(&world.server).settings(&settings).start()?;
        let bundle = bundle(&relay, &folder)?;
        let at = SocketAddr::new(world.server.v4(), 443);
        let statement = receipt(&world.phone, &bundle, at)?;
        let told: Network = "beeline-kz".parse().expect("a network");
        assert_eq!((statement.passage.network, statement.is_told), (told, true));

        fs::write(&settings, format!("ports = 443\nnetworks = {table:?}\n"))?;
        wait_for(&relay, "reloaded")?;
        let statement = receipt(&world.phone, &bundle, at)?;
        assert_eq!((statement.passage.network, statement.is_told), (Network::As(9198), false));

        fs::write(&table, "<html>\n")?;
        fs::write(&settings, format!("ports = \"443,444\"\nnetworks = {table:?}\n"))?;
        let notice = relay.notice("settings", LIMIT)?.to_string();
        assert!(notice.contains("line 1 is not what ip2asn files have"), "{notice}");
        assert_eq!(receipt(&world.phone, &bundle, at)?.passage.network, Network::As(9198));
        drop(relay);
        let table = table.to_str().expect("UTF-8");
        let refused = Relay::on(&world.server).arguments(&["--networks", table]).start();
        let why = refused.expect_err("it does not start").to_string();
        assert!(why.contains("networks.tsv cannot be used: line 1"), "{why}");
        Ok(())
    })
}

fn wait_for(relay: &Relay, event: &str) -> Result {
    let start = Instant::now();
    while relay.events(event).is_empty() {
        if start.elapsed() > LIMIT {
            return Err(Error::Unexpected(format!("no event '{event}'")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Sends noise to a port until it is told to stop; tells how much.
fn flood(from: &Host, at: SocketAddr, stop: Arc<AtomicBool>) -> Result<Task<u64>> {
    from.start(async move || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(at)?;
        let noise: [u8; 100] = wire::random();
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            sent += u64::from(socket.send(&noise).is_ok());
        }
        Ok(sent)
    })
}

#[test]
fn a_flood_of_datagrams_that_are_nobodys_keeps_nobody_from_getting_through() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("443").start()?;
        let bundle = bundle(&relay, &world.server.folder()?)?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let at = SocketAddr::new(world.server.v4(), 443);
        let stop = Arc::<AtomicBool>::default();
        let (start, before) = (Instant::now(), processor_time(&relay)?);
        let floods = [(); 2].map(|()| flood(&world.phone, at, Arc::clone(&stop)));
        let carried = world.phone.run(async move || {
            for _ in 0..5 {
                let mut person = timeout(LIMIT, client::through(&link)?.connect()).await??;
                timeout(LIMIT, person.ping()).await??;
                timeout(LIMIT, person.download(1 << 20)).await??;
            }
            Ok(())
        });
        // And of questions among the noise, one is answered.
        let asker = asker(&bundle.bundle().endpoints[0]);
        let answered = world.phone.run(async move || {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect(at).await?;
            let (transport, shape) = (Transport::Udp, Shape::Random);
            let wanted = Wanted { transport, shape, relay: at, time: now(), near: None };
            for _ in 0..1_000 {
                socket.send(&asker.ask(&wanted, wire::random())).await?;
                if timeout(LIMIT / 500, socket.recv(&mut [0; 64])).await.is_ok() {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        let spent = processor_time(&relay)? - before;
        stop.store(true, Ordering::Relaxed);
        let mut sent = 0;
        for flood in floods {
            sent += flood?.join()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        eprintln!(
            "{:.0} datagrams a second, {:.2} of a core",
            sent as f64 / seconds,
            spent / seconds
        );
        carried?;
        assert!(answered);
        Ok(())
    })
}

/// How long the relay has worked, in seconds.
fn processor_time(relay: &Relay) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", relay.process()))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
