//! Every port answers, or none but some, from the port that was asked.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use lab::{Result, country};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::*;

#[test]
fn all_tcp_ports_answer_but_those_never_taken_and_each_says_which_it_is() -> Result {
    steered(|mechanism, phone, server| {
        let _holder = Holder::on(server, "all", mechanism)?;
        let address = server.addresses()[1];
        let others = phone.run(async move || Ok(sweep(address, (1..=u16::MAX).collect()).await))?;
        assert_eq!(others, BTreeSet::from([22, 67, 68, 123, 546, 547]), "{mechanism}");
        // The other family, where it can differ: at the edges, and a few in between.
        let (v6, sample) = (server.v6(), (1..=u16::MAX).step_by(641).chain([65_535]).collect());
        let others = phone.run(async move || Ok(sweep(v6, sample).await))?;
        assert_eq!(others, BTreeSet::new(), "{mechanism}");
        for never in [22, 67, 68, 123, 546, 547] {
            assert_eq!(
                knock_from(phone, (v6, never).into())?,
                Knock::Refused,
                "{mechanism} {never}"
            );
        }
        Ok(())
    })
}

#[test]
fn udp_ports_answer_from_the_port_that_was_asked_in_both_families() -> Result {
    steered(|mechanism, phone, server| {
        let _holder = Holder::on(server, "all", mechanism)?;
        for address in server.addresses().to_vec() {
            let wrong = phone.run(async move || {
                let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
                let mut wrong = Vec::new();
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                for port in (1..32_768).step_by(101).chain((61_000..=65_535).step_by(97)) {
                    let at = SocketAddr::new(address, port);
                    let reply = ask(&socket, at);
                    if reply != answered(at) {
                        wrong.push((at, reply));
                    }
                }
                Ok(wrong)
            })?;
            assert_eq!(wrong, [], "{mechanism}");
        }
        for never in [22, 67, 123, 547] {
            for address in [server.v4(), server.v6()] {
                let at = SocketAddr::new(address, never);
                assert_eq!(ask_from(phone, at)?, Reply::Refused, "{mechanism} {at}");
            }
        }
        // Where programs ask from when they do not care: free to take only for who sees packets.
        let at = SocketAddr::new(server.v4(), 45_678);
        let expected = if mechanism == "sk_lookup" { Reply::Refused } else { answered(at) };
        assert_eq!(ask_from(phone, at)?, expected, "{mechanism}");
        Ok(())
    })
}

#[test]
fn in_quiet_and_with_a_list_other_ports_are_closed() -> Result {
    for mechanism in STEERING.into_iter().chain(["list"]) {
        country(|lab| {
            let (phone, server) = two(lab)?;
            for (mode, open) in [("quiet", [443, 3785]), ("2000,3000-3001", [2000, 3001])] {
                let holder = Holder::on(&server, mode, mechanism)?;
                for address in server.addresses() {
                    for port in open {
                        let at = SocketAddr::new(*address, port);
                        assert_eq!(knock_from(&phone, at)?, here(at), "{mechanism}");
                        assert_eq!(ask_from(&phone, at)?, answered(at), "{mechanism}");
                    }
                    for port in [1, 22, 81, 2001, 8080, 65_535] {
                        let at = SocketAddr::new(*address, port);
                        assert_eq!(knock_from(&phone, at)?, Knock::Refused, "{mechanism}");
                        assert_eq!(ask_from(&phone, at)?, Reply::Refused, "{mechanism}");
                    }
                }
                drop(holder);
                let at = SocketAddr::new(server.v4(), open[0]);
                eventually(&Knock::Refused, || knock_from(&phone, at))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_thousand_ports_that_do_not_touch_are_had() -> Result {
    steered(|mechanism, phone, server| {
        let ports: Vec<u16> = (0..1000).map(|number| 2001 + 2 * number).collect();
        let list: Vec<String> = ports.iter().map(u16::to_string).collect();
        let _holder = Holder::on(server, &list.join(","), mechanism)?;
        let address = server.v4();
        let others = phone.run(async move || Ok(sweep(address, ports).await))?;
        assert_eq!(others, BTreeSet::new(), "{mechanism}");
        let between = SocketAddr::new(address, 2002);
        assert_eq!(knock_from(phone, between)?, Knock::Refused, "{mechanism}");
        Ok(())
    })
}

#[test]
fn connections_that_the_kernel_remembers_by_cookies_alone_are_had_too() -> Result {
    steered(|mechanism, phone, server| {
        run(server, "sysctl -qw net.ipv4.tcp_syncookies=2")?;
        let _holder = Holder::on(server, "all", mechanism)?;
        for address in server.addresses() {
            let at = SocketAddr::new(*address, 3784);
            assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
        }
        Ok(())
    })
}

/// Connects from a port of one's own, as soon as the last connection from it is quite over here too.
async fn connect_from(from: SocketAddr, at: SocketAddr) -> std::io::Result<TcpStream> {
    loop {
        let socket = match at {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(from)?;
        match socket.connect(at).await {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            done => return done,
        }
    }
}

#[test]
fn who_comes_again_from_the_same_port_is_let_in_although_we_closed_first() -> Result {
    steered(|mechanism, phone, server| {
        let _holder = Holder::on(server, "all", mechanism)?;
        for at in [SocketAddr::new(server.v4(), 8080), SocketAddr::new(server.v6(), 8080)] {
            let from = SocketAddr::new(if at.is_ipv4() { phone.v4() } else { phone.v6() }, 40_000);
            phone.run(async move || {
                for _ in 0..3 {
                    let mut stream = timeout(LIMIT, connect_from(from, at)).await??;
                    stream.write_all(b"bye").await?;
                    let mut said = String::new();
                    timeout(LIMIT, stream.read_to_string(&mut said)).await??;
                    assert_eq!(said.trim(), at.to_string());
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}
