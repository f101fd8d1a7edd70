//! What a relay counts is what was carried, for each key, port, protocol and datacentre.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::relay::{Form, WebKey};
use lab::scrape::scrape;
use lab::socks::{self, Datagrams, To};
use lab::{Blockade, Host, Relay, Result, Website, client, country, tdlib, website};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(30);
/// Longer than a relay takes to notice that its keys have changed.
const NOTICED: Duration = Duration::from_secs(1);

/// Key, port, protocol, datacentre.
type Cell = (String, u64, String, String);
/// Connections, bytes up and down.
type Amounts = (u64, u64, u64);
type Tally = BTreeMap<Cell, Amounts>;

fn amounts(object: &Value) -> Amounts {
    let number = |name: &str| object[name].as_u64().expect("a number");
    (number("connections"), number("up_bytes"), number("down_bytes"))
}

/// What `jaryq stats --json` shows, in its sums and in its cells.
fn stats(relay: &Relay) -> Result<(Value, Tally)> {
    let mut printed = relay.command(&["stats", "--days", "2", "--json"])?;
    let sums = printed.remove(0);
    let mut tally = Tally::new();
    for cell in &printed {
        let word = |name: &str| cell[name].as_str().unwrap_or("none").to_owned();
        let key =
            (word("key"), cell["port"].as_u64().unwrap_or(0), word("protocol"), word("datacentre"));
        // The days on both sides of a midnight.
        let (sum, more) = (tally.entry(key).or_default(), amounts(cell));
        *sum = (sum.0 + more.0, sum.1 + more.1, sum.2 + more.2);
    }
    Ok((sums, tally))
}

/// The sums by one thing, without those of nothing.
fn by(sums: &Value, what: &str) -> BTreeMap<String, Amounts> {
    let rows = sums[format!("by_{what}")].as_array().expect("an array");
    let name = |row: &Value| match &row[what] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.iter().map(|row| (name(row), amounts(row))).collect()
}

/// The same, from the cells.
fn summed(tally: &Tally, name: impl Fn(&Cell) -> String) -> BTreeMap<String, Amounts> {
    let mut sums = BTreeMap::new();
    for (cell, more) in tally {
        let sum: &mut Amounts = sums.entry(name(cell)).or_default();
        *sum = (sum.0 + more.0, sum.1 + more.1, sum.2 + more.2);
    }
    sums
}

#[test]
fn telegrams_bytes_are_counted_exactly_while_a_connection_lasts_and_to_its_very_end() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let mut relay = Relay::on(&world.server).start()?;
        let keys = [relay.key()?, relay.new_key()?];
        sleep(NOTICED);
        let mut expected = Tally::new();
        let protocols = ["telegram-plain", "telegram-dd", "telegram-ee"];
        let ways = Form::ALL.into_iter().zip(protocols).flat_map(|way| [(way, 2), (way, -4)]);
        for (number, ((form, protocol), datacentre)) in ways.enumerate() {
            let (key, port) = (&keys[number % 2], [443, 8443][number % 2]);
            let link = key.link_to(form, (world.server.v4(), port).into())?;
            let (up, down) = world.phone.run(async move || {
                let transfer = async {
                    let approach = client::through(&link)?.datacentre(datacentre);
                    let mut client = approach.connect().await?;
                    client.ping().await?;
                    client.download(MIB + 4 * number as u64).await?;
                    client.upload(MIB / 2).await?;
                    Ok(client.carried())
                };
                timeout(LIMIT, transfer).await?
            })?;
            assert!(up > MIB / 2 && down > MIB);
            let cell = (
                key.id.clone(),
                port.into(),
                protocol.to_owned(),
                datacentre.unsigned_abs().to_string(),
            );
            expected.insert(cell, (1, up, down));
        }

        // One more, which lasts until after the relay was told to stop.
        let link = keys[0].link(Form::Padded)?.to_owned();
        let (half, so_far) = std::sync::mpsc::channel();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let person = world.phone.start(async move || {
            let mut client = client::through(&link)?.connect().await?;
            client.download(MIB).await?;
            let _ = half.send(client.carried());
            let _ = told.await;
            timeout(LIMIT, client.download(8 * MIB)).await??;
            Ok(client.carried())
        })?;
        let (up, down) = so_far.recv().expect("the person gets in");
        let cell = || (keys[0].id.clone(), 443, "telegram-dd".to_owned(), "2".to_owned());
        let before = expected.insert(cell(), (0, 0, 0)).unwrap_or_default();
        expected.insert(cell(), (before.0 + 1, before.1 + up, before.2 + down));
        let end = Instant::now() + LIMIT;
        while stats(&relay)?.1 != expected && Instant::now() < end {
            sleep(Duration::from_millis(500));
        }
        let (sums, shown) = stats(&relay)?;
        assert_eq!(shown, expected);
        assert_eq!(sums["now"]["running"], true);
        assert_eq!(sums["now"]["connections"]["telegram-dd"], 1);

        relay.signal(Signal::SIGTERM)?;
        sleep(Duration::from_millis(500));
        let _ = go_on.send(());
        let (up, down) = person.join()?;
        assert!(relay.ended(LIMIT)?.success());
        expected.insert(cell(), (before.0 + 1, before.1 + up, before.2 + down));
        let (sums, shown) = stats(&relay)?;
        assert_eq!(shown, expected);
        assert_eq!(sums["now"]["running"], false);
        assert_eq!(by(&sums, "key"), summed(&expected, |cell| cell.0.clone()));
        assert_eq!(by(&sums, "port"), summed(&expected, |cell| cell.1.to_string()));
        assert_eq!(by(&sums, "protocol"), summed(&expected, |cell| cell.2.clone()));
        assert_eq!(by(&sums, "datacentre"), summed(&expected, |cell| cell.3.clone()));
        let all = summed(&expected, |_| String::new());
        assert_eq!(Some(&amounts(&sums["total"])), all.get(""));
        let people = sums["by_day"]
            .as_array()
            .expect("days")
            .iter()
            .filter_map(|day| day["people"].as_u64());
        assert_eq!(people.max(), Some(1), "one phone");
        // And nothing of where that was.
        let addresses = [b"5.76.1.10".to_vec(), vec![5, 76, 1, 10], b"2a00:5da0".to_vec()];
        for file in std::fs::read_dir(relay.state())? {
            let bytes = std::fs::read(file?.path())?;
            for address in &addresses {
                assert!(!bytes.windows(address.len()).any(|window| window == address));
            }
        }
        Ok(())
    })
}

/// On that host, whatever is said to port 8443 and, in datagrams, to port 3478 comes back.
fn echo(host: &Host) -> Result<(SocketAddr, SocketAddr)> {
    let (tcp, udp) = ((host.v4(), 8443).into(), (host.v4(), 3478).into());
    lab::echo::repeat(host, tcp, udp)?;
    Ok((tcp, udp))
}

/// Says so many bytes and waits until they have come back.
async fn converse(stream: &mut TcpStream, bytes: usize) -> Result {
    let mut heard = vec![0; bytes];
    let (mut from, mut to) = stream.split();
    let said = vec![7; bytes];
    let (said, heard) =
        timeout(LIMIT, async { tokio::join!(to.write_all(&said), from.read_exact(&mut heard)) })
            .await?;
    said?;
    heard?;
    Ok(())
}

#[test]
fn other_apps_bytes_are_counted_exactly_by_protocol() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let mut relay = Relay::on(&world.server).start()?;
        let key = relay.new_web_key()?;
        sleep(NOTICED);
        let (tcp, udp) = echo(&world.web)?;
        let proxy = SocketAddr::new(world.server.v4(), 1080);
        let WebKey { id, socks5, http, .. } = key;
        let login = http.trim_start_matches("http://").split('@').next().unwrap_or_default();
        let basic = website::base64(login.as_bytes());
        // As it goes on to the server, which echoes it.
        let request = format!(
            "POST /x HTTP/1.1\r\nHost: {tcp}\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345"
        );
        let echoed = request.len();
        world.phone.run(async move || {
            let mut stream = socks::connect(&socks5, &tcp.into()).await?.expect("a way");
            converse(&mut stream, 1_000_003).await?;

            let datagrams = Datagrams::open(&socks5).await?;
            for _ in 0..3 {
                datagrams.send(&To::Address(udp), &[9; 400]).await?;
                let (_, payload) = timeout(LIMIT, datagrams.receive()).await??;
                assert_eq!(payload.len(), 400);
            }

            let mut stream = TcpStream::connect(proxy).await?;
            let head = format!("CONNECT {tcp} HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(timeout(LIMIT, stream.read_u8()).await??);
            }
            converse(&mut stream, 500_001).await?;

            let mut stream = TcpStream::connect(proxy).await?;
            let head = format!("POST http://{tcp}/x HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\nContent-Length: 5\r\n\r\n12345");
            stream.write_all(head.as_bytes()).await?;
            timeout(LIMIT, stream.read_exact(&mut vec![0; echoed])).await??;
            // To where nobody is taken.
            let refused = socks::connect(&socks5, &To::Name("127.0.0.1".into(), 80)).await?;
            assert!(refused.is_err());
            Ok(())
        })?;
        relay.signal(Signal::SIGTERM)?;
        assert!(relay.ended(LIMIT)?.success());
        let (sums, shown) = stats(&relay)?;
        let cell = |protocol: &str| (id.clone(), 1080, protocol.to_owned(), "none".to_owned());
        let echoed = echoed as u64;
        let expected = Tally::from([
            (cell("socks5"), (2, 1_000_003, 1_000_003)),
            (cell("socks5-udp"), (1, 1_200, 1_200)),
            (cell("http-connect"), (1, 500_001, 500_001)),
            (cell("http"), (1, echoed, echoed)),
        ]);
        assert_eq!(shown, expected);
        let today = sums["by_day"].as_array().and_then(|days| days.last()).expect("today");
        assert_eq!(today["counters"]["egress_refused"], 1);
        Ok(())
    })
}

#[test]
fn the_real_app_is_counted_and_people_can_read_the_table() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let mut relay = Relay::on(&world.server).start()?;
        let nothing = relay.text(&["stats"])?;
        assert!(nothing.contains("Nothing was counted"), "{nothing}");
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        tdlib::ping_all(&world.phone, [link])?;
        relay.signal(Signal::SIGTERM)?;
        assert!(relay.ended(LIMIT)?.success());
        let (_, shown) = stats(&relay)?;
        let cell = (relay.key()?.id, 443, "telegram-ee".to_owned(), "1".to_owned());
        let (connections, up, down) =
            shown.get(&cell).copied().unwrap_or_else(|| panic!("{shown:?}"));
        assert!(connections >= 1 && up > 0 && down > 0, "{shown:?}");
        let table = relay.text(&["stats", "--days", "1"])?;
        for word in ["people", "telegram-ee", "Telegram 1", "443", "(first)", "█", "Keys found"] {
            assert!(table.contains(word), "{word} is not in\n{table}");
        }
        Ok(())
    })
}

/// Runs a line of shell on that host.
fn shell(host: &Host, line: &str) -> Result<bool> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stderr(Stdio::null());
    Ok(host.output(command)?.status.success())
}

#[test]
fn while_the_disk_is_full_it_goes_on_counting_and_writes_it_down_when_there_is_room() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let state = world.server.folder()?.join("state");
        std::fs::create_dir(&state)?;
        let at = state.display();
        let mount = format!("mount -t tmpfs -o size=1m,mode=755 disk {at}");
        assert!(shell(&world.server, &mount)?);
        let mut relay = Relay::on(&world.server).state(&state).start()?;
        assert!(!shell(&world.server, &format!("head -c 4M /dev/zero > {at}/full"))?);
        let link = relay.key()?.link(Form::Padded)?.to_owned();
        let (up, down) = world.phone.run(async move || {
            let mut client = client::through(&link)?.connect().await?;
            timeout(LIMIT, client.download(MIB)).await??;
            Ok(client.carried())
        })?;
        relay.notice("tally", LIMIT)?;
        assert!(shell(&world.server, &format!("rm {at}/full"))?);
        relay.signal(Signal::SIGTERM)?;
        assert!(relay.ended(LIMIT)?.success());
        let (_, shown) = stats(&relay)?;
        let cell = (relay.key()?.id, 443, "telegram-dd".to_owned(), "2".to_owned());
        assert_eq!(shown, Tally::from([(cell, (1, up, down))]));
        Ok(())
    })
}

#[test]
fn prometheus_reads_the_same_on_the_loopback_and_from_nowhere_else() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        // It has every other port, and none on the loopback.
        let relay =
            Relay::on(&world.server).ports("all").arguments(&["--metrics", "9464"]).start()?;
        let link = relay.key()?.link(Form::Padded)?.to_owned();
        let mut stranger = None;
        let (up, down) = world.phone.run(async move || {
            let mut client = client::through(&link)?.connect().await?;
            timeout(LIMIT, client.download(MIB)).await??;
            Ok(client.carried())
        })?;
        let bytes = |direction: &str| {
            format!(
                "jaryq_bytes_total{{datacentre=\"2\",direction=\"{direction}\",protocol=\"telegram-dd\"}}"
            )
        };
        let url = ["http://127.0.0.1:9464/metrics", "http://[::1]:9464/metrics"];
        for url in url {
            let samples = scrape(&world.server, url)?;
            let of = |name: &str| samples.get(name).copied();
            #[expect(clippy::cast_precision_loss)]
            let (up, down) = (up as f64, down as f64);
            assert_eq!((of(&bytes("up")), of(&bytes("down"))), (Some(up), Some(down)), "{url}");
            assert_eq!(of("jaryq_people_today"), Some(1.0));
            assert_eq!(of("jaryq_keys_by_trial_total"), Some(1.0));
            let text = format!("{samples:?}");
            let id = relay.key()?.id;
            let person = world.phone.v4().to_string();
            assert!(!text.contains(&id) && !text.contains(&id[..8]) && !text.contains(&person));
        }
        // From outside, the port is a relay's like all others: to a stranger, it says nothing.
        let at = SocketAddr::new(world.server.v4(), 9464);
        let _ = stranger.insert(world.phone.run(async move || {
            let mut stream = TcpStream::connect(at).await?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await?;
            Ok(timeout(Duration::from_secs(1), stream.read(&mut [0])).await.is_err())
        })?);
        assert_eq!(stranger, Some(true), "somebody answered");
        Ok(())
    })
}

#[test]
fn metrics_are_bounded_in_number_size_and_time_and_answer_again_after_it() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _relay = Relay::on(&world.server).arguments(&["--metrics", "9464"]).start()?;
        let at = SocketAddr::from(([127, 0, 0, 1], 9464));
        world.server.run(async move || {
            let mut long = TcpStream::connect(at).await?;
            // Its end may be a reset, before all of it is written.
            let _ = long
                .write_all(&[&b"GET /metrics HTTP/1.1\r\nX: "[..], &[b'x'; 9_000]].concat())
                .await;
            let mut heard = Vec::new();
            let _ = timeout(LIMIT, long.read_to_end(&mut heard)).await?;
            assert!(heard.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&heard));
            let mut silent = Vec::new();
            for _ in 0..20 {
                silent.push(TcpStream::connect(at).await?);
            }
            let mut asks = TcpStream::connect(at).await?;
            asks.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await?;
            let mut heard = Vec::new();
            let _ = timeout(LIMIT, asks.read_to_end(&mut heard)).await?;
            assert!(heard.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&heard));
            Ok(())
        })
    })
}
