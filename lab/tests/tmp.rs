//! tmp
use lab::*;
use std::process::Command;
#[test]
fn t() -> Result {
    country(|lab| {
        let inside = lab.network("inside")?;
        let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        for h in [&phone, &server] {
            let mut c = Command::new("sh");
            c.args(["-c","ip a; ip r; ip -6 r; ip n; ping -W1 -c1 116.203.7.7; ping -W1 -c 1 2a01:4f8:7::7; ip n"]);
            h.output(c)?;
        }
        std::thread::sleep(std::time::Duration::from_secs(30));
        Ok(())
    })
}
