//! The relay as a service: installed, hardened, not root, and heard by its manager.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lab::relay::{Form, program};
use lab::website::{curl, self_signed};
use lab::{Blockade, Error, Host, Relay, Result, country, files, tdlib};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(15);
const UNIT: &str = "etc/systemd/system/jaryq.service";

/// `jaryq` with these arguments, below a folder that stands for a machine.
fn jaryq(root: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program()?);
    command.args(arguments).arg("--root").arg(root).env_remove("JARYQ_CONFIG");
    Ok(command.output()?)
}

/// What a program of the machine says to this, or that it is not there.
fn output(program: &str, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program).args(arguments).output();
    output.map_err(|_| Error::Missing(format!("no {program}")))
}

/// Has systemd look at a unit.
fn judge(folder: &Path, name: &str, unit: &str) -> Result {
    let copy = folder.join(name).with_extension("service");
    fs::write(&copy, unit)?;
    let copy = copy.to_str().expect("a path");
    if let Ok(said) = output("systemd-analyze", &["verify", copy]) {
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && !errors.contains("jaryq"), "{errors}");
        // Of ten, in which ten is a service that may do everything; in tenths.
        let judged =
            output("systemd-analyze", &["security", "--offline=true", "--threshold=25", copy])?;
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    }
    Ok(())
}

#[test]
fn what_is_installed_is_a_unit_that_systemd_understands_and_finds_hardened() -> Result {
    let root = tempfile::tempdir()?;
    let done = jaryq(root.path(), &["install", "--ports", "all", "--mask", "a.example"])?;
    assert!(done.status.success(), "{done:?}");
    let settings = fs::read_to_string(root.path().join("etc/jaryq.toml"))?;
    assert!(settings.contains("ports = \"all\"\nmask = \"a.example:443\"\n"), "{settings}");

    // systemd looks whether the program is there.
    let unit = fs::read_to_string(root.path().join(UNIT))?;
    let here = root.path().join("usr/local/bin/jaryq");
    let unit = unit.replace("/usr/local/bin/jaryq", here.to_str().expect("a path"));
    judge(root.path(), "jaryq", &unit)?;

    let done = jaryq(root.path(), &["uninstall"])?;
    assert!(done.status.success(), "{done:?}");
    let left = files(root.path())?;
    assert_eq!(left, [root.path().join("etc/jaryq.toml"), root.path().join("jaryq.service")]);
    assert!(!jaryq(root.path(), &["uninstall"])?.status.success(), "there is nothing left");
    Ok(())
}

/// The system calls of a set, or of a call's own name, as systemd.exec(5) means them.
fn calls_of(set: &str) -> Result<BTreeSet<String>> {
    if !set.starts_with('@') {
        return Ok(BTreeSet::from([set.to_owned()]));
    }
    let said = output("systemd-analyze", &["syscall-filter", set])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut calls = BTreeSet::new();
    for name in text.lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#')) {
        calls.append(&mut if name.is_empty() { BTreeSet::new() } else { calls_of(name)? });
    }
    Ok(calls)
}

/// The system calls that a unit lets through.
fn allowed(unit: &str) -> Result<BTreeSet<String>> {
    let mut allowed = BTreeSet::new();
    for filter in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let denied = filter.strip_prefix('~');
        for set in denied.unwrap_or(filter).split(' ') {
            let calls = calls_of(set)?;
            allowed = if denied.is_some() { &allowed - &calls } else { &allowed | &calls };
        }
    }
    Ok(allowed)
}

#[test]
fn the_unit_lets_the_relay_carry_bytes_as_it_does_without_one() -> Result {
    if output("systemd-analyze", &["--version"]).is_err() {
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    assert!(jaryq(root.path(), &["install"])?.status.success());
    let unit = fs::read_to_string(root.path().join(UNIT))?;
    let allowed = allowed(&unit)?;
    for needed in
        ["splice", "pipe2", "bpf", "capset", "accept4", "socketpair", "flock", "fdatasync"]
    {
        assert!(allowed.contains(needed), "{needed}");
    }
    for dangerous in ["chown", "setuid", "mount", "ptrace", "memfd_create"] {
        assert!(!allowed.contains(dangerous), "{dangerous}");
    }
    Ok(())
}

#[test]
fn the_debian_package_has_the_same_service_for_its_own_place() -> Result {
    let root = tempfile::tempdir()?;
    let package = root.path().join("jaryq.deb");
    let package = package.to_str().expect("a path");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/deb");
    if output("dpkg-deb", &["--version"]).is_err() {
        return Ok(());
    }
    let made = Command::new(maker).arg(program()?).arg(package).output()?;
    assert!(made.status.success(), "{made:?}");
    let unpacked = root.path().join("unpacked");
    let to = unpacked.to_str().expect("a path");
    assert!(output("dpkg-deb", &["-R", package, to])?.status.success());
    let unit = fs::read_to_string(unpacked.join("usr/lib/systemd/system/jaryq.service"))?;
    assert!(unit.contains("ExecStart=/usr/bin/jaryq up "), "{unit}");
    assert!(unpacked.join("usr/lib/sysusers.d/jaryq.conf").exists());
    assert_eq!(fs::read(unpacked.join("usr/bin/jaryq"))?, fs::read(program()?)?);
    let settings = fs::read_to_string(unpacked.join("DEBIAN/conffiles"))?;
    assert_eq!(settings, "/etc/jaryq.toml\n/etc/jaryq-hub.toml\n");
    let hub = unpacked.join("usr/lib/systemd/system/jaryq-hub.service");
    let hub = fs::read_to_string(hub)?;
    if output("systemd-analyze", &["--version"]).is_ok() {
        let allowed = allowed(&hub)?;
        for needed in ["capset", "accept4", "flock", "fdatasync", "pipe2"] {
            assert!(allowed.contains(needed), "{needed}");
        }
        for dangerous in ["chown", "setuid", "mount", "ptrace", "memfd_create", "bpf"] {
            assert!(!allowed.contains(dangerous), "{dangerous}");
        }
    }
    let here = unpacked.join("usr/bin/jaryq");
    judge(
        root.path(),
        "jaryq-hub",
        &hub.replace("/usr/bin/jaryq", here.to_str().expect("a path")),
    )?;
    for script in ["postinst", "prerm", "postrm"] {
        let script = unpacked.join("DEBIAN").join(script);
        assert!(output("sh", &["-n", script.to_str().expect("a path")])?.status.success());
    }
    Ok(())
}

#[test]
fn installed_again_it_keeps_the_settings_that_were_not_given_anew() -> Result {
    let root = tempfile::tempdir()?;
    jaryq(root.path(), &["install", "--mask", "a.example"])?;
    jaryq(root.path(), &["install", "--ports", "443,80"])?;
    let settings = fs::read_to_string(root.path().join("etc/jaryq.toml"))?;
    assert!(settings.ends_with("mask = \"a.example:443\"\nports = \"443,80\"\n"), "{settings}");
    fs::write(root.path().join("etc/jaryq.toml"), "nonsense = 1")?;
    let done = jaryq(root.path(), &["install"])?;
    assert!(!done.status.success() && !done.stderr.is_empty(), "{done:?}");
    Ok(())
}

#[test]
fn what_the_service_could_not_use_is_said_before_anything_is_changed() -> Result {
    let root = tempfile::tempdir()?;
    let install = |flags: &[&str]| {
        jaryq(root.path(), &[&["install", "--domain", "a.example"], flags].concat())
    };
    for folder in ["etc/jaryq/closed", "root", "srv/www"] {
        fs::create_dir_all(root.path().join(folder))?;
    }
    for file in ["etc/jaryq/c.pem", "root/c.pem", "root/hook", "etc/jaryq/closed/hook"] {
        fs::write(root.path().join(file), "")?;
    }
    std::os::unix::fs::symlink("../../root/hook", root.path().join("etc/jaryq/link"))?;
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(root.path().join("etc/jaryq/closed"), closed)?;
    let before = files(root.path())?;
    for (flags, why) in [
        (["--dns-hook", "/root/hook", "", ""], "below /etc/jaryq"),
        (["--dns-hook", "/etc/jaryq/link", "", ""], "below /etc/jaryq"),
        (["--dns-hook", "/etc/jaryq/closed/hook", "", ""], "chmod a+x"),
        (["--site", "/root", "", ""], "below /etc/jaryq"),
        (["--certificate", "/etc/jaryq/c.pem", "--key", "/etc/jaryq/no.pem"], "cannot read"),
    ] {
        let flags: Vec<&str> = flags.into_iter().filter(|flag| !flag.is_empty()).collect();
        let done = install(&flags)?;
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains(why), "{flags:?}: {said}");
        assert_eq!(files(root.path())?, before);
    }
    // A certificate may be where only root is: it is lent.
    let done = install(&["--certificate", "/etc/jaryq/c.pem", "--key", "/root/c.pem"])?;
    assert!(done.status.success(), "{done:?}");
    Ok(())
}

/// What the unit has root do before a start or at a reload, here for a service of this group.
fn as_root(when: &str, host: &Host, settings: &Path, to: &Path) -> Result {
    let root = tempfile::tempdir()?;
    assert!(jaryq(root.path(), &["install"])?.status.success());
    let unit = fs::read_to_string(root.path().join(UNIT))?;
    let line = unit.lines().find_map(|line| line.strip_prefix(when)).expect("a line");
    let (_, words) = line.trim_start_matches(['-', '+']).split_once(' ').expect("words");
    let words = words
        .replace("/etc/jaryq.toml", settings.to_str().expect("text"))
        .replace("/run/jaryq", to.to_str().expect("text"))
        .replace("--group jaryq", &format!("--group {}", lab::relay::USER));
    let mut command = Command::new(program()?);
    command.args(words.split(' ')).env_remove("JARYQ_CONFIG").stdout(Stdio::null());
    let done = host.output(command)?;
    assert!(done.status.success(), "{line}: {done:?}");
    Ok(())
}

#[test]
fn it_shows_a_certificate_that_only_root_can_read_and_a_renewed_one_after_a_reload() -> Result {
    country(|lab| {
        let server = lab.host("server", &["116.203.7.7"])?;
        let (name, folder) = ("relay.orchard.example", server.folder()?);
        server.call(name)?;
        let own = folder.join("root");
        fs::create_dir(&own)?;
        fs::set_permissions(&own, fs::Permissions::from_mode(0o700))?;
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|file| own.join(file));
        let renew = || {
            for (new, old) in self_signed(&server, name)?.iter().zip([&certificate, &key]) {
                fs::copy(new, old)?;
                fs::set_permissions(old, fs::Permissions::from_mode(0o600))?;
            }
            Ok::<_, Error>(())
        };
        renew()?;
        let (settings, lent) = (folder.join("jaryq.toml"), folder.join("run"));
        let text = format!(
            "ports = 8443\ndomain = \"{name}\"\ncertificate = {certificate:?}\nkey = {key:?}\n"
        );
        fs::write(&settings, text)?;
        let flags = ["--lent", lent.to_str().expect("text")];
        let plan = || Relay::on(&server).settings(&settings).arguments(&flags).as_service();
        let said = plan().start().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("cannot read"), "without root's help: {said}");

        as_root("ExecStartPre=", &server, &settings, &lent)?;
        for file in fs::read_dir(&lent)? {
            let mode = file?.metadata()?.permissions().mode();
            assert_eq!(mode & 0o777, 0o640, "for its group alone");
        }
        let relay = plan().start()?;
        let shown = || {
            let url = format!("https://{name}:8443/");
            let answer = curl(&server, &["--write-out", "%{certs}", &url])?;
            let answer = answer.map_err(Error::Unexpected)?;
            Ok::<_, Error>(
                answer.lines().find(|line| line.starts_with("Serial")).map(str::to_owned),
            )
        };
        let first = shown()?;
        assert!(first.is_some());
        renew()?;
        as_root("ExecReload=", &server, &settings, &lent)?;
        relay.notice("certificate-reloaded", LIMIT)?;
        assert_ne!(shown()?, first);
        Ok(())
    })
}

#[test]
fn uninstalled_it_removes_the_program_if_it_has_put_it_there_and_else_leaves_it() -> Result {
    let root = tempfile::tempdir()?;
    let there = root.path().join("usr/local/bin/jaryq");
    // The program there is run, as by its owner.
    let jaryq_there = |verb: &str| -> Result {
        let done = Command::new(&there).arg(verb).arg("--root").arg(root.path()).output()?;
        assert!(done.status.success(), "{done:?}");
        Ok(())
    };
    fs::create_dir_all(there.parent().expect("a folder"))?;
    fs::copy(program()?, &there)?;
    jaryq_there("install")?;
    jaryq_there("uninstall")?;
    assert!(there.exists(), "its owner has put it there");

    fs::remove_file(&there)?;
    assert!(jaryq(root.path(), &["install"])?.status.success());
    // For other settings, as a rule.
    jaryq_there("install")?;
    jaryq_there("uninstall")?;
    assert!(!there.exists(), "it was put there with the service");
    Ok(())
}

/// The capabilities of a process: those in effect, and those that it could take.
fn capabilities(process: &str) -> Result<[u64; 2]> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let of = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(u64::MAX)
    };
    Ok([of("CapEff:"), of("CapPrm:")])
}

#[test]
fn without_root_and_with_four_capabilities_it_answers_on_all_ports_and_then_has_none() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("all").as_service().start()?;
        assert_eq!(relay.ready()["mechanism"], "tcx", "{}", relay.ready());
        assert_eq!(relay.ready()["all_ports"], true);
        assert!(relay.ready()["no_datagrams"].is_null());
        let key = relay.key()?;
        let mut links = Vec::new();
        for port in [1, 443, 12_345] {
            for address in world.server.addresses() {
                links.push(key.link_to(Form::Padded, SocketAddr::new(*address, port))?);
            }
        }
        tdlib::ping_all(&world.phone, links)?;

        let process = relay.process();
        assert_eq!(capabilities(&process.to_string())?, [0, 0]);
        let tasks = format!("/proc/{process}/task/{process}/children");
        let keeper = fs::read_to_string(tasks)?.trim().to_owned();
        // CAP_NET_ADMIN and CAP_BPF.
        assert_eq!(capabilities(&keeper)?, [1 << 12 | 1 << 39; 2]);

        // The machine's owner asks as root.
        let key = relay.new_key()?;
        std::thread::sleep(Duration::from_secs(1));
        tdlib::ping_all(&world.phone, [key.link(Form::FakeTls)?.to_owned()])?;
        let found = relay.doctor(&[])?;
        assert!(found.healthy, "{found:#?}");
        Ok(())
    })
}

#[test]
fn without_the_capability_for_answers_by_datagrams_it_does_without_those() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let three = "-all,+bpf,+net_admin,+net_bind_service";
        let relay = Relay::on(&world.server).ports("all").as_user(three).start()?;
        assert_eq!(relay.ready()["mechanism"], "tcx", "{}", relay.ready());
        let why = relay.ready()["no_datagrams"].to_string();
        assert!(why.contains("a raw socket for answers"), "{why}");
        let at = SocketAddr::new(world.server.v4(), 12_345);
        tdlib::ping_all(&world.phone, [relay.key()?.link_to(Form::Padded, at)?])
    })
}

#[test]
fn its_manager_hears_that_it_is_ready_and_well_and_that_it_stops() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let path = world.server.folder()?.join("notify");
        let manager = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        manager.set_read_timeout(Some(LIMIT))?;
        let heard = || {
            let mut word = [0; 64];
            let length = manager.recv(&mut word)?;
            Ok::<_, Error>(String::from_utf8_lossy(&word[..length]).into_owned())
        };
        let path = path.to_str().expect("a path");
        let plan = Relay::on(&world.server).as_service();
        let mut relay = plan.environment("NOTIFY_SOCKET", path).start()?;
        assert_eq!(heard()?, "READY=1");
        assert_eq!([heard()?, heard()?], ["WATCHDOG=1", "WATCHDOG=1"]);
        // One that hangs is not well.
        relay.signal(Signal::SIGSTOP)?;
        std::thread::sleep(Duration::from_millis(500));
        manager.set_nonblocking(true)?;
        while heard().is_ok() {}
        manager.set_nonblocking(false)?;
        manager.set_read_timeout(Some(Duration::from_secs(3)))?;
        assert!(heard().is_err(), "a frozen relay says nothing");
        relay.signal(Signal::SIGCONT)?;
        assert_eq!(heard()?, "WATCHDOG=1");
        relay.signal(Signal::SIGTERM)?;
        while heard()? != "STOPPING=1" {}
        assert!(relay.ended(LIMIT)?.success());
        Ok(())
    })
}

#[test]
fn its_log_has_no_link_in_it() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let folder = world.server.folder()?;
        let log = folder.join("log");
        let mut command = Command::new(program()?);
        command
            .args(["up", "--ports", "443", "--state"])
            .arg(folder.join("state"))
            .env_remove("JARYQ_CONFIG")
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log)?)
            .stderr(fs::File::options().append(true).open(&log)?);
        let mut relay = world.server.spawn(command)?;
        let written = || fs::read_to_string(&log);
        for _ in 0..300 {
            if written()?.contains("jaryq key show") {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = written()?;
        relay.kill()?;
        relay.wait()?;
        assert!(said.contains("jaryq key show"), "{said}");
        assert!(!said.contains("secret=") && !said.contains("t.me"), "{said}");
        Ok(())
    })
}
