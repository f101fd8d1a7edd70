//! `jaryq install` and `uninstall`: a service of systemd that starts with the machine, and its end.

mod settings;

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use nix::unistd::geteuid;
use serde_json::json;

use crate::args::Service;
use crate::house::HouseFlags;
use crate::print::Printer;
use crate::running::Running;

const UNIT: &str = include_str!("jaryq.service");
const USERS: &str = include_str!("sysusers.conf");

/// Where things go, and where the unit says that they are.
const BINARY: &str = "/usr/local/bin/jaryq";
const UNIT_PATH: &str = "/etc/systemd/system/jaryq.service";
const USERS_PATH: &str = "/etc/sysusers.d/jaryq.conf";
const SETTINGS: &str = "/etc/jaryq.toml";
const STATE: &str = "/var/lib/jaryq";

/// What the unit's ProtectHome= and PrivateTmp= hide from the service.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// Where a program already is as services want it, and need not be copied.
const SYSTEM: [&str; 2] = ["/usr/bin", "/usr/local/bin"];
/// What a unit begins with whose program was copied: only then is it ours to remove.
const COPIED: &str =
    "# 'jaryq install' has put the program there, and 'jaryq uninstall' removes it.\n";

/// The machine, or a folder that stands for one and in which nothing is started.
struct Machine<'a>(Option<&'a Path>);

impl Machine<'_> {
    fn path(&self, path: &str) -> PathBuf {
        let root = self.0.unwrap_or(Path::new("/"));
        root.join(path.trim_start_matches('/'))
    }

    /// Fails where the service could not use a file that these settings name.
    fn check_files(&self, house: &HouseFlags) -> anyhow::Result<()> {
        let lendable = house.lendable().map(|(_, path)| path);
        for path in house.files() {
            let root = self.path("/").canonicalize()?;
            let shown = path.display();
            let there = self.path(&path.to_string_lossy());
            let real = there.canonicalize().and_then(|real| File::open(&real).map(|_| real));
            let real = real.with_context(|| format!("cannot read {shown}"));
            if lendable.contains(&Some(path)) {
                real?;
                continue;
            }
            // Also where a link leads.
            let inside = real.as_ref().ok().and_then(|real| real.strip_prefix(&root).ok());
            let inside = inside.map(|inside| Path::new("/").join(inside));
            let is_hidden = |path: &Path| HIDDEN.iter().any(|folder| path.starts_with(folder));
            if is_hidden(path) || inside.as_deref().is_some_and(is_hidden) {
                bail!(
                    "the service sees nothing below {}, and {shown} is there: put it below /etc/jaryq",
                    HIDDEN.join(", ")
                );
            }
            let real = real?;
            let above = real.ancestors().skip(1).take_while(|folder| *folder != root);
            for folder in above {
                if fs::metadata(folder)?.permissions().mode() & 0o001 == 0 {
                    let folder = folder.display();
                    bail!(
                        "the service cannot pass through {folder} to {shown}: 'chmod a+x {folder}'"
                    );
                }
            }
        }
        Ok(())
    }

    /// Lets the service's user run the program that makes records in DNS.
    fn allow_hook(&self, house: &HouseFlags) -> anyhow::Result<()> {
        let Some(hook) = house.dns_hook.as_deref() else { return Ok(()) };
        let mode = fs::metadata(self.path(&hook.to_string_lossy()))?.permissions().mode();
        // A script is read to be run.
        if mode & 0o005 == 0o005 {
            return Ok(());
        }
        let hook = hook.to_string_lossy();
        self.run("chgrp", &["jaryq", &hook])?;
        self.run("chmod", &["g+rx", &hook])
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &str, content: &[u8], mode: u32) -> anyhow::Result<()> {
        let path = self.path(path);
        let write = || {
            if let Some(above) = path.parent() {
                fs::create_dir_all(above)?;
            }
            let new = path.with_added_extension("new");
            fs::write(&new, content)?;
            fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
            // A program that runs cannot be written to, but its name can be given to another.
            fs::rename(&new, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a file; whether it was there.
    fn remove(&self, path: &str) -> anyhow::Result<bool> {
        let path = self.path(path);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        if self.0.is_some() {
            return Ok(());
        }
        let said = format!("{program} {}", arguments.join(" "));
        let status = Command::new(program).args(arguments).status();
        if !status.with_context(|| format!("cannot run {program}"))?.success() {
            bail!("'{said}' failed; the service's own words: journalctl -u jaryq -n 30");
        }
        Ok(())
    }

    /// Whether a relay that is no service runs on the service's state.
    fn has_another_relay(&self) -> bool {
        let is_service = || {
            // Also while it starts, reloads or stops, when it is not called active.
            let process = ["show", "--property=MainPID", "--value", "jaryq"];
            let asked = Command::new("systemctl").args(process).output();
            asked.is_ok_and(|said| is_process(&said.stdout))
        };
        self.0.is_none() && Running::is_marked(Path::new(STATE)).unwrap_or(false) && !is_service()
    }

    /// Fails where there is nothing to install into.
    fn check(&self) -> anyhow::Result<()> {
        if self.0.is_some() {
            return Ok(());
        }
        if !geteuid().is_root() {
            bail!("this needs root: put sudo before it");
        }
        if !Path::new("/run/systemd/system").is_dir() {
            bail!(
                "systemd does not run here, and 'jaryq install' knows no other service manager; let \
                 yours run 'jaryq up' as root"
            );
        }
        Ok(())
    }
}

/// Whether this is a process's number, and not the 0 of a service that has none.
fn is_process(said: &[u8]) -> bool {
    str::from_utf8(said).is_ok_and(|text| text.trim().parse().is_ok_and(|process: u32| process > 0))
}

/// Makes a service of this program, with these settings, and starts it.
pub(crate) fn install(
    service: Service,
    root: Option<&Path>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let machine = Machine(root);
    machine.check()?;
    if machine.has_another_relay() {
        bail!("a relay that is no service runs on {STATE}; stop it, and install then");
    }
    // Before anything is changed.
    let (settings, house) = settings::merged(service, &machine.path(SETTINGS))?;
    machine.check_files(&house)?;
    let program = env::current_exe().context("cannot tell where this program is")?;
    let stays = SYSTEM.iter().find(|folder| program.parent() == Some(&machine.path(folder)));
    let (installed, unit) = if let Some(folder) = stays {
        let name = program.file_name().unwrap_or_default().display();
        let path = format!("{folder}/{name}");
        // What an earlier install has put there is changed by itself as a rule.
        let before = fs::read_to_string(machine.path(UNIT_PATH)).unwrap_or_default();
        let copied = if path == BINARY && before.starts_with(COPIED) { COPIED } else { "" };
        let unit = format!("{copied}{}", UNIT.replace(BINARY, &path));
        (path, unit)
    } else {
        let content =
            fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        machine.write(BINARY, &content, 0o755)?;
        (BINARY.to_owned(), format!("{COPIED}{UNIT}"))
    };
    machine.write(SETTINGS, settings.as_bytes(), 0o644)?;
    machine.write(USERS_PATH, USERS.as_bytes(), 0o644)?;
    machine.run("systemd-sysusers", &[USERS_PATH])?;
    machine.allow_hook(&house)?;
    machine.write(UNIT_PATH, unit.as_bytes(), 0o644)?;
    machine.run("systemctl", &["daemon-reload"])?;
    machine.run("systemctl", &["enable", "--quiet", "jaryq"])?;
    machine.run("systemctl", &["restart", "jaryq"])?;
    if printer.is_json() {
        printer.object(&json!({
            "event": "installed", "program": installed, "unit": UNIT_PATH, "settings": SETTINGS,
            "state": STATE,
        }));
        return Ok(());
    }
    printer.line(format!(
        "Jaryq runs as a service now, and starts with this machine.\n\n  \
         its links   sudo jaryq key list, sudo jaryq key show ID\n  \
         is it well  sudo jaryq doctor\n  \
         settings    {SETTINGS}, then: sudo systemctl reload jaryq\n  \
         its words   journalctl -u jaryq\n  \
         remove it   sudo jaryq uninstall"
    ));
    Ok(())
}

/// Ends the service and removes what [`install`] has made, but for keys and settings.
pub(crate) fn uninstall(root: Option<&Path>, printer: &Printer) -> anyhow::Result<()> {
    let machine = Machine(root);
    machine.check()?;
    let unit = fs::read_to_string(machine.path(UNIT_PATH));
    let Ok(unit) = unit else {
        bail!(
            "'jaryq install' has made no service here: there is no {UNIT_PATH} (a Debian package is \
             removed with 'apt remove jaryq')"
        );
    };
    machine.run("systemctl", &["disable", "--quiet", "--now", "jaryq"])?;
    machine.remove(UNIT_PATH)?;
    machine.remove(USERS_PATH)?;
    if unit.starts_with(COPIED) {
        machine.remove(BINARY)?;
    }
    machine.run("systemctl", &["daemon-reload"])?;
    if printer.is_json() {
        let kept = json!([STATE, SETTINGS]);
        printer.object(&json!({ "event": "uninstalled", "kept": kept }));
        return Ok(());
    }
    printer.line(format!(
        "The service is gone. What is left are the keys in {STATE}, which work again if jaryq is \
         installed again, and {SETTINGS}. To remove these too, for good: rm -r {STATE} {SETTINGS}"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_process;

    #[test]
    fn a_service_has_a_process_while_it_starts_too_and_none_between_two_starts() {
        for (said, is_one) in [("1234\n", true), ("0\n", false), ("\n", false), ("", false)] {
            assert_eq!(is_process(said.as_bytes()), is_one, "{said:?}");
        }
    }
}
