//! A relay answers where it is told to, and changes that while people are connected.

use std::net::SocketAddr;
use std::time::Duration;

use lab::relay::Form;
use lab::{Blockade, Error, Host, Relay, Result, client, country, tdlib};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn in_a_cut_the_app_gets_through_on_ports_that_nobody_configured() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("all").start()?;
        assert_eq!(relay.ready()["all_ports"], true);
        assert_eq!(relay.ready()["mechanism"], "tcx");
        let key = relay.key()?;
        let mut links = Vec::new();
        for form in Form::ALL {
            for port in [1, 179, 646, 3785, 12_345, 65_535] {
                for address in world.server.addresses() {
                    links.push(key.link_to(form, SocketAddr::new(*address, port))?);
                }
            }
        }
        tdlib::ping_all(&world.phone, links)
    })
}

/// Whether a connection is refused there, as where nobody listens.
fn is_closed(host: &Host, at: SocketAddr) -> Result<bool> {
    host.run(async move || match timeout(LIMIT, TcpStream::connect(at)).await? {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error) => Err(error.into()),
    })
}

#[test]
fn a_relay_answers_elsewhere_from_one_moment_to_the_next_and_nobody_is_cut_off() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("443").start()?;
        let other = SocketAddr::new(world.server.v4(), 31_000);
        let links = [
            relay.key()?.link(Form::FakeTls)?.to_owned(),
            relay.key()?.link_to(Form::Padded, other)?,
        ];
        assert!(is_closed(&world.phone, other)?);

        let (said, heard) = std::sync::mpsc::channel();
        let (next, mut told) = tokio::sync::mpsc::unbounded_channel();
        let people = world.phone.start(async move || {
            let [first, second] = links;
            let mut first = client::through(&first)?.connect().await?;
            first.ping().await?;
            let _ = said.send(());
            told.recv().await;
            // Every port answers now.
            let mut second = client::through(&second)?.connect().await?;
            timeout(LIMIT, second.ping()).await??;
            timeout(LIMIT, first.ping()).await??;
            let _ = said.send(());
            told.recv().await;
            // None answers but 443, and whoever came by another one is still there.
            timeout(LIMIT, second.download(1 << 20)).await??;
            timeout(LIMIT, first.download(1 << 20)).await?
        })?;
        let wait = || heard.recv().map_err(|_| Error::Unexpected("they were cut off".to_owned()));
        wait()?;
        let changed = relay.command(&["ports", "all", "--json"])?;
        assert_eq!(changed[0]["all"], true);
        let _ = next.send(());
        wait()?;
        relay.command(&["ports", "443", "--json"])?;
        assert!(is_closed(&world.phone, other)?);
        let _ = next.send(());
        people.join()
    })
}

#[test]
fn a_killed_relay_leaves_every_port_as_it_was_and_the_next_one_has_them_again() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let at = SocketAddr::new(world.server.v4(), 443);
        let relay = Relay::on(&world.server).ports("all").start()?;
        assert!(!is_closed(&world.phone, at)?);
        let relay = {
            let state = relay.state().to_owned();
            drop(relay);
            assert!(is_closed(&world.phone, at)?, "kill -9 leaves nothing attached");
            let state = state.to_str().expect("a path").to_owned();
            Relay::on(&world.server).ports("all").arguments(&["--state", &state]).start()?
        };
        assert!(!is_closed(&world.phone, at)?);
        drop(relay);
        Ok(())
    })
}

#[test]
fn ports_that_are_lost_are_told_of_at_once() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("all").start()?;
        let id = relay.process();
        let helper = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let helper = helper.trim().parse().expect("one process");
        kill(Pid::from_raw(helper), Signal::SIGKILL).map_err(std::io::Error::from)?;
        relay.notice("ports", LIMIT)?;
        assert!(is_closed(&world.phone, SocketAddr::new(world.server.v4(), 443))?);
        Ok(())
    })
}

#[test]
fn with_many_keys_a_port_leads_to_each_and_whoever_has_a_link_with_it_gets_through() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("quiet").start()?;
        assert_eq!(relay.ready()["bucket_ports"], serde_json::json!([]));
        let made = relay.command(&["key", "new", "--count", "256", "--label", "home", "--json"])?;
        assert_eq!(made.len(), 256);
        assert_eq!(made[255]["key"]["label"], "home 256");
        let opened = relay.event("ports", LIMIT)?;
        let ports = opened["bucket_ports"].as_array().map_or(0, Vec::len);
        assert!(ports > 1000, "all buckets' ports answer, not only those of keys: {opened}");

        let key = relay.new_key()?;
        let link: wire::mtproto::ProxyLink = key.link(Form::Padded)?.parse().expect("a link");
        assert!(link.port.get() >= 1024, "{link:?}");
        assert!(opened["bucket_ports"].to_string().contains(&link.port.to_string()));
        // Within a second, a key that was just made is valid.
        std::thread::sleep(Duration::from_secs(1));
        let links = Form::ALL.map(|form| key.link(form).map(str::to_owned));
        tdlib::ping_all(&world.phone, links.into_iter().collect::<Result<Vec<_>>>()?)?;

        // The links are out there: however few keys are left, their ports stay.
        for made in &made[..5] {
            relay.command(&[
                "key",
                "revoke",
                made["key"]["id"].as_str().expect("an id"),
                "--json",
            ])?;
        }
        let relay = relay.crash_and_restart(&Relay::on(&world.server).ports("quiet"))?;
        assert_eq!(relay.ready()["valid_keys"], 253);
        assert_eq!(relay.ready()["bucket_ports"], opened["bucket_ports"]);
        let free =
            (2000..).find(|port| !opened["bucket_ports"].to_string().contains(&port.to_string()));
        let free = SocketAddr::new(world.server.v4(), free.expect("31,000 ports lead nowhere"));
        assert!(is_closed(&world.phone, free)?);
        drop(relay);
        Ok(())
    })
}
