//! Other ports while it runs.

use std::net::SocketAddr;
use std::sync::mpsc;

use lab::{Result, country};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::*;

#[test]
fn the_mode_changes_without_root_and_no_connection_is_dropped() -> Result {
    for mechanism in STEERING.into_iter().chain(["list"]) {
        country(|lab| {
            let (phone, server) = two(lab)?;
            let holder = Holder::with(&server, &["quiet", mechanism, "65432"])?;
            let (old, new) =
                (SocketAddr::new(server.v4(), 443), SocketAddr::new(server.v4(), 8443));
            let (step, steps) = mpsc::channel();
            let (done, was_done) = mpsc::channel();
            let talk = phone.start(async move || {
                let mut stream = TcpStream::connect(old).await?;
                BufReader::new(&mut stream).read_line(&mut String::new()).await?;
                while steps.recv().is_ok() {
                    stream.write_all(b"still here").await?;
                    let mut back = [0; 10];
                    timeout(LIMIT, stream.read_exact(&mut back)).await??;
                    let _ = done.send(back);
                }
                Ok(())
            })?;
            let still = || {
                step.send(()).expect("the connection lasts");
                assert_eq!(&was_done.recv().expect("the connection lasts"), b"still here");
            };
            still();
            assert_eq!(knock_from(&phone, new)?, Knock::Refused);
            holder.mode("8443")?;
            still();
            assert_eq!(knock_from(&phone, new)?, here(new), "{mechanism}");
            eventually(&Knock::Refused, || knock_from(&phone, old))?;
            still();
            let said = holder.mode("all")?;
            still();
            // A list says that it cannot have all.
            assert_eq!(said.contains("all: true"), mechanism != "list", "{said}");
            if mechanism != "list" {
                assert_eq!(knock_from(&phone, old)?, here(old), "{mechanism}");
                holder.mode("quiet")?;
                assert_eq!(knock_from(&phone, new)?, Knock::Refused, "{mechanism}");
            }
            still();
            drop(step);
            talk.join()
        })?;
    }
    Ok(())
}

#[test]
fn a_connection_that_is_being_made_is_had_although_its_port_is_given_up() -> Result {
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        let at = SocketAddr::new(server.v4(), 8080);
        // What would complete it is lost.
        run(
            phone,
            "nft add table ip t
             nft 'add chain ip t out { type filter hook output priority 0; }'
             nft add rule ip t out 'tcp flags & (syn | ack) == ack drop'",
        )?;
        let (begun, was_begun) = mpsc::channel();
        let late = phone.start(async move || {
            let mut stream = TcpStream::connect(at).await?;
            let _ = begun.send(());
            let mut said = String::new();
            timeout(LIMIT, BufReader::new(&mut stream).read_line(&mut said)).await??;
            Ok(said)
        })?;
        was_begun.recv().expect("half a connection");
        holder.mode("443")?;
        run(phone, "nft delete table ip t")?;
        assert_eq!(late.join()?.trim(), at.to_string(), "{mechanism}");
        assert_eq!(knock_from(phone, at)?, Knock::Refused, "{mechanism}");
        Ok(())
    })
}
