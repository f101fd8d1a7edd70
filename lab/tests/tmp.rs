//! tmp
use lab::*;
use std::time::*;
#[test]
fn t() -> Result {
    for n in 0..200 {
        country(|lab| {
            let inside = lab.network("inside")?;
            let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
            let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
            let v6 = n % 2 == 1;
            let at: std::net::SocketAddr =
                if v6 { (server.v6(), 443).into() } else { (server.v4(), 443).into() };
            let t = Instant::now();
            let took = phone.run(async move || {
                let _ = tokio::net::TcpStream::connect(at).await;
                Ok(t.elapsed())
            })?;
            if took > Duration::from_millis(100) {
                eprintln!("{n} v6={v6} {took:?}");
                for h in [&phone, &server] {
                    let mut c = std::process::Command::new("sh");
                    c.args(["-c","ip -s link show eth0; ip n; cat /proc/net/snmp6 | grep -v '\\s0$'; ip -6 a"]);
                    h.output(c)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
