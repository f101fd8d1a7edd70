//! A country in a few lines: providers, homes behind NAT, gates, and what is abroad.

mod greeter;

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use greeter::{greeter, greeting};
use lab::censor::Transport;
use lab::relay::Form;
use lab::world::shutdowns::{self, FIVE};
use lab::{Abroad, Error, Gate, Host, Nat, Ports, Provider, Relay, Result, client, country};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long somebody waits for an answer that should come.
const LONG: Duration = Duration::from_secs(10);

/// Sends a datagram to each of these ports, all from one port of its own.
fn datagrams(host: &Host, to: IpAddr, ports: impl Iterator<Item = u16> + Send + 'static) -> Result {
    host.run(async move || {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        for port in ports {
            socket.send_to(&[0; 16], (to, port)).await?;
        }
        Ok(())
    })
}

/// Whether a connection attempt met silence.
fn vanished(said: &Result<String>) -> bool {
    matches!(said, Err(Error::Unexpected(_)))
}

/// Whether it was refused at once.
fn refused(said: &Result<String>) -> bool {
    matches!(said, Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[test]
fn people_at_home_and_on_the_road_reach_a_relay() -> Result {
    country(|lab| {
        let abroad = Abroad::on(lab)?;
        let landline = Provider::on(lab, "landline").ipv6().start()?;
        let mobile = Provider::on(lab, "mobile").carrier_nat(Nat::carrier()).start()?;
        let (home, neighbours) = (landline.home("home")?, mobile.home("neighbours")?);
        let (laptop, tablet) = (home.host("laptop")?, neighbours.host("tablet")?);
        let phone = mobile.phone("phone")?;
        let (server, other) = (abroad.server()?, abroad.server()?);
        let relay = Relay::on(&server).start()?;
        let link = |at| relay.key()?.link_to(Form::Padded, SocketAddr::new(at, 443));
        let (v4, v6) = (link(server.v4())?, link(server.v6())?);
        for (host, link) in [(&laptop, &v4), (&laptop, &v6), (&tablet, &v4), (&phone, &v4)] {
            let approach = client::through(link)?;
            host.run(async move || {
                timeout(LONG, async { approach.connect().await?.ping().await }).await?
            })?;
        }
        let straight = client::straight_to(abroad.telegram.endpoints(2)[0]);
        tablet.run(async move || {
            timeout(LONG, async { straight.connect().await?.ping().await }).await?
        })?;

        // Who they seem to be.
        let [v4, v6] = [other.v4(), other.v6()].map(|address| SocketAddr::new(address, 80));
        greeter(&other, v4)?;
        greeter(&other, v6)?;
        let carrier = mobile.carrier().expect("it has one").address().to_string();
        assert_eq!(greeting(&laptop, v4)?, home.address().to_string());
        assert_eq!(greeting(&laptop, v6)?, laptop.v6().to_string());
        assert_eq!(greeting(&tablet, v4)?, carrier);
        assert_eq!(greeting(&phone, v4)?, carrier);
        // Without IPv6 an app is told so, and does not wait.
        assert!(matches!(greeting(&phone, v6), Err(Error::Io { .. })));

        let table = [landline.table(), mobile.table()].concat();
        let v4 = [
            "5.100.0.0\t5.100.255.255\t64512\tKZ\tlandline",
            "5.101.0.0\t5.101.255.255\t64513\tKZ\tmobile",
        ];
        let v6 = "2a00:5da0:64::\t2a00:5da0:64:ffff:ffff:ffff:ffff:ffff\t64512\tKZ\tlandline";
        assert_eq!(table.lines().collect::<Vec<_>>(), [v4[0], v6, v4[1]]);

        // And nobody comes in.
        let at = SocketAddr::new(laptop.v6(), 22);
        greeter(&laptop, at)?;
        assert!(vanished(&greeting(&other, at)));
        assert!(greeting(&other, SocketAddr::new(home.address(), 22)).is_err());
        Ok(())
    })
}

#[test]
fn a_full_table_hurts_whoever_is_at_home_until_its_patience_ends() -> Result {
    country(|lab| {
        let landline = Provider::on(lab, "landline").ipv6().start()?;
        let small = Nat::home().entries(100).keeps_datagram(Duration::from_secs(3));
        let home = landline.home_behind("home", &small)?;
        let (laptop, phone) = (home.host("laptop")?, home.host("phone")?);
        let elsewhere = landline.home("elsewhere")?.host("neighbour")?;
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        let [at, v6] = [server.v4(), server.v6()].map(|address| SocketAddr::new(address, 80));
        greeter(&server, at)?;
        greeter(&server, v6)?;
        greeting(&phone, at)?;

        let watch = home.watch()?;
        datagrams(&laptop, server.v4(), 1000..1300)?;
        assert!(vanished(&greeting(&phone, at)) && vanished(&greeting(&phone, v6)));
        assert!(home.refused()? > 200, "{}", home.refused()?);
        greeting(&elsewhere, at)?;

        while home.live_entries()? > 10 {
            sleep(Duration::from_millis(50));
        }
        greeting(&phone, at)?;
        let peak = watch.peak();
        assert!((50..=101).contains(&peak), "{peak}");
        Ok(())
    })
}

#[test]
fn behind_a_carrier_everybody_has_a_share_of_the_table() -> Result {
    country(|lab| {
        let nat = Nat::carrier().entries_each(100);
        let mobile = Provider::on(lab, "mobile").carrier_nat(nat).start()?;
        let [greedy, modest] = [mobile.phone("greedy")?, mobile.phone("modest")?];
        let server = lab.host("server", &["116.203.7.7"])?;
        let at = SocketAddr::new(server.v4(), 80);
        greeter(&server, at)?;
        datagrams(&greedy, server.v4(), 1000..1300)?;
        assert!(vanished(&greeting(&greedy, at)));
        greeting(&modest, at)?;
        Ok(())
    })
}

#[test]
fn two_providers_have_different_gates() -> Result {
    country(|lab| {
        let shut = Gate::shut().tcp(FIVE).udp([53]);
        let landline = Provider::on(lab, "landline").ipv6().gate(shut).start()?;
        let polite = Gate::open().tcp(Ports::AllBut(FIVE.to_vec())).answers();
        let mobile = Provider::on(lab, "mobile").gate(polite).start()?;
        let (laptop, phone) = (landline.home("home")?.host("laptop")?, mobile.phone("phone")?);
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        let at = |port| SocketAddr::new(server.v4(), port);
        let v6 = |port| SocketAddr::new(server.v6(), port);
        for at in [at(179), at(443), v6(179), v6(443)] {
            greeter(&server, at)?;
        }
        greeting(&laptop, at(179))?;
        greeting(&laptop, v6(179))?;
        assert!(vanished(&greeting(&laptop, at(443))));
        assert!(vanished(&greeting(&laptop, v6(443))));
        // Passed, and nobody there.
        assert!(refused(&greeting(&laptop, at(646))));
        greeting(&phone, at(443))?;
        assert!(refused(&greeting(&phone, at(179))));
        mobile.set_gate(&Gate::shut().to([server.v4()]))?;
        greeting(&phone, at(179))?;
        landline.remove_gate()?;
        greeting(&laptop, at(443))?;
        Ok(())
    })
}

#[test]
fn what_people_send_is_counted_port_by_port() -> Result {
    country(|lab| {
        let gate = Gate::shut().tcp([443]).udp([53]);
        let provider = Provider::on(lab, "landline").ipv6().gate(gate).start()?;
        let phone = provider.phone("phone")?;
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        let [v4, v6] = [server.v4(), server.v6()];
        // Of a whole conversation the first packet counts, and of one that is not let out too.
        greeter(&server, SocketAddr::new(v4, 443))?;
        let datagrams_to_all = provider.meter(Transport::Udp, v4, 1..=u16::MAX)?;
        let connections = [(v4, 443), (v6, 179)].map(|(address, port)| {
            let meter = provider.meter(Transport::Tcp, address, [port, port + 1])?;
            let _ = greeting(&phone, SocketAddr::new(address, port));
            meter.sent()
        });
        datagrams(&phone, v4, 1..=u16::MAX)?;
        let sent = datagrams_to_all.sent()?;
        assert_eq!(sent.len(), 65_535);
        assert!(sent.values().all(|count| *count == 1));
        let [v4, v6] = connections;
        assert_eq!((v4?, v6?), ([(443, 1)].into(), [(179, 1)].into()));
        Ok(())
    })
}

#[test]
fn nothing_is_left_of_a_country() -> Result {
    let names = ["w-border", "w-box", "w-laptop"];
    let left = || {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names_of_tasks =
            tasks.flat_map(|task| std::fs::read_to_string(task.path().join("comm")));
        names_of_tasks.filter(|name| names.contains(&name.trim())).count()
    };
    country(|lab| {
        let provider = Provider::on(lab, names[0]).ipv6().carrier_nat(Nat::carrier()).start()?;
        let home = provider.home(names[1])?;
        let _laptop = home.host(names[2])?;
        let _watch = home.watch()?;
        let _shutdown = shutdowns::iran_2025().on(&provider)?;
        // Each namespace is kept by a thread that bears its name, and by nothing else.
        assert_eq!(left(), 3);
        Ok(())
    })?;
    for _ in 0..500 {
        if left() == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(10));
    }
    panic!("{} namespaces are left", left());
}
